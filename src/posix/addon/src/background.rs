//! Work off the main thread: a closure that libuv's pool runs, whose result a promise delivers.
use crate::errno::Result;
use napi::bindgen_prelude::{AsyncTask, ToNapiValue, TypeName};
use napi::{Env, Task};

type Work<T> = Box<dyn FnMut() -> Result<T> + Send>;

/// A closure that runs once on libuv's pool and is dropped, with the buffers it holds, on the main thread.
pub struct Background<T>(Work<T>);

impl<T: ToNapiValue + TypeName + Send + 'static> Task for Background<T> {
    type Output = T;
    type JsValue = T;

    fn compute(&mut self) -> napi::Result<T> {
        Ok((self.0)()?)
    }

    fn resolve(&mut self, _env: Env, output: T) -> napi::Result<T> {
        Ok(output)
    }
}

/// Runs `work` on libuv's pool; an `Errno` rejects the promise with the reason `errno <number>`.
pub fn background<T: ToNapiValue + TypeName + Send + 'static>(
    work: impl FnMut() -> Result<T> + Send + 'static,
) -> AsyncTask<Background<T>> {
    AsyncTask::new(Background(Box::new(work)))
}
