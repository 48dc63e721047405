//! Work off the main thread: a closure that libuv's pool runs, whose result a promise delivers.
use crate::errno::Result;
use napi::bindgen_prelude::{AsyncTask, ToNapiValue, TypeName};
use napi::{Env, Task};

type Work<T> = Box<dyn FnOnce() -> Result<T> + Send>;

/// A closure that runs once on libuv's pool.
pub struct Background<T>(Option<Work<T>>);

impl<T: ToNapiValue + TypeName + Send + 'static> Task for Background<T> {
    type Output = T;
    type JsValue = T;

    fn compute(&mut self) -> napi::Result<T> {
        let work = self.0.take().ok_or_else(|| napi::Error::from_reason("work ran twice"))?;
        Ok(work()?)
    }

    fn resolve(&mut self, _env: Env, output: T) -> napi::Result<T> {
        Ok(output)
    }
}

/// Runs `work` on libuv's pool; an `Errno` rejects the promise with the reason `errno <number>`.
pub fn background<T: ToNapiValue + TypeName + Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> AsyncTask<Background<T>> {
    AsyncTask::new(Background(Some(Box::new(work))))
}
