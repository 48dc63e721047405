//! JavaScript's face of the capture by inotify.
use crate::background::{Background, background};
use crate::errno::{Errno, Result};
use crate::inotify::{Waiting, Watch};
use napi::bindgen_prelude::{AsyncTask, Buffer};
use napi_derive::napi;
use std::sync::Arc;
use std::thread::JoinHandle;

/// Some of what was taken.
#[napi(object, object_from_js = false)]
pub struct TakenNames {
    pub records: Buffer,
    /// nothing is left of it
    pub last: bool,
}

/// A running capture. Close it: the thread and the descriptors stay until then.
#[napi]
pub struct InotifyWatch {
    watch: Option<Arc<Watch>>,
    reader: Option<JoinHandle<()>>,
}

#[napi]
impl InotifyWatch {
    /// Watches the roots and starts to read. What is below them is watched when `cover` has ended.
    #[napi(factory)]
    pub fn open(roots: Vec<Buffer>, max_watches: f64, limit_bytes: f64) -> napi::Result<Self> {
        let roots: Vec<Vec<u8>> = roots.iter().map(|root| root.to_vec()).collect();
        let watch = Arc::new(Watch::open(&roots, max_watches as usize, limit_bytes as usize)?);
        let read = Arc::clone(&watch);
        let reader = std::thread::Builder::new()
            .name("inotify".into())
            .spawn(move || read.run())
            .map_err(Errno::from)?;
        Ok(InotifyWatch { watch: Some(watch), reader: Some(reader) })
    }

    fn watch(&self) -> Result<Arc<Watch>> {
        self.watch.as_ref().map(Arc::clone).ok_or(Errno(libc::EBADF))
    }

    /// Watches every directory that is there, as far as the budget goes.
    #[napi]
    pub fn cover(&self) -> napi::Result<AsyncTask<Background<()>>> {
        let watch = self.watch()?;
        Ok(background(move || {
            watch.cover();
            Ok(())
        }))
    }

    /// Marks so far as records (name_marks.rs), with paths as they are now: those of one moment, in parts of about `most`.
    #[napi]
    pub fn take(&self, most: u32) -> napi::Result<AsyncTask<Background<TakenNames>>> {
        let watch = self.watch()?;
        Ok(background(move || {
            watch.catch_up()?;
            let (records, last) = watch.take(most.max(1) as usize);
            Ok(TakenNames { records: records.into(), last })
        }))
    }

    /// How many marks wait; since when the oldest (milliseconds since the epoch, -1 for none); their bytes; how many directories are watched,
    /// and how many are not.
    #[napi]
    pub fn pending(&self) -> Vec<f64> {
        let Some(watch) = self.watch.as_ref() else { return vec![0.0, -1.0, 0.0, 0.0, 0.0] };
        let Waiting { marks, oldest_ms, bytes, watched, uncovered } = watch.pending();
        vec![marks as f64, oldest_ms.unwrap_or(-1.0), bytes as f64, watched as f64, uncovered as f64]
    }

    /// Ends the capture. Calling it again does nothing.
    #[napi]
    pub fn close(&mut self) {
        if let Some(watch) = self.watch.take() {
            watch.stop.signal();
        }
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

impl Drop for InotifyWatch {
    fn drop(&mut self) {
        self.close();
    }
}
