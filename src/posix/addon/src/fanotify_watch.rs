//! JavaScript's face of the capture by fanotify.
use crate::background::{Background, background};
use crate::errno::{Errno, Result};
use crate::fanotify::Watch;
use crate::fanotify_group::LesserKernel;
use crate::mutex::lock;
use crate::pending::Pending;
use crate::prompt::Prompt;
use crate::spool::{Spool, SpoolLimits};
use napi::bindgen_prelude::{AsyncTask, Buffer};
use napi_derive::napi;
use std::sync::Arc;
use std::thread::JoinHandle;

/// Some of what was taken.
#[napi(object, object_from_js = false)]
pub struct TakenPart {
    pub records: Buffer,
    pub ranges: Buffer,
    /// nothing is left of it
    pub last: bool,
}

/// A running capture. Close it: the thread and the descriptors stay until then.
#[napi]
pub struct FanotifyWatch {
    watch: Option<Arc<Watch>>,
    readers: Vec<JoinHandle<()>>,
}

#[napi]
impl FanotifyWatch {
    /// Marks the file systems of these directories and starts to read. Changes after this call are captured. `pages`: ranges are asked for.
    #[napi(factory)]
    pub fn open(roots: Vec<Buffer>, limit_bytes: f64, pages: bool, lesser: LesserKernel) -> napi::Result<Self> {
        let roots: Vec<Vec<u8>> = roots.iter().map(|root| root.to_vec()).collect();
        let watch = Arc::new(Watch::open(&roots, limit_bytes as usize, pages, lesser)?);
        let mut readers = FanotifyWatch { watch: Some(Arc::clone(&watch)), readers: Vec::new() };
        let traced = watch.trace.is_ok();
        for (name, run) in [("fanotify", Watch::run as fn(&Watch)), ("pages", Watch::run_trace)].into_iter().take(1 + usize::from(traced)) {
            let read = Arc::clone(&watch);
            let reader = std::thread::Builder::new().name(name.into()).spawn(move || {
                let _prompt = Prompt::begin();
                run(&read);
            });
            readers.readers.push(reader.map_err(Errno::from)?);
        }
        Ok(readers)
    }

    fn watch(&self) -> Result<Arc<Watch>> {
        self.watch.as_ref().map(Arc::clone).ok_or(Errno(libc::EBADF))
    }

    /// Marks so far as records (taken.rs), with paths as they are now, and the ranges of the files among them (join.rs): those of one
    /// moment, in parts of about `most` marks.
    #[napi]
    pub fn take(&self, most: u32) -> napi::Result<AsyncTask<Background<TakenPart>>> {
        let watch = self.watch()?;
        Ok(background(move || {
            let part = watch.take(most.max(1) as usize)?;
            Ok(TakenPart { records: part.records.into(), ranges: part.ranges.into(), last: part.last })
        }))
    }

    /// Why ranges are not known, of all volumes or of some; empty when they are.
    #[napi]
    pub fn untraced(&self) -> Vec<String> {
        self.watch.as_ref().map(|watch| watch.untraced()).unwrap_or_default()
    }

    /// All marks so far, as `take`, which stay; rescans when there are more than `most`.
    #[napi]
    pub fn peek(&self, most: u32) -> napi::Result<AsyncTask<Background<Buffer>>> {
        let watch = self.watch()?;
        Ok(background(move || Ok(watch.peek(most as usize)?.into())))
    }

    /// The looks at what was taken last are over.
    #[napi]
    pub fn looks_ended(&self) -> napi::Result<AsyncTask<Background<()>>> {
        let watch = self.watch()?;
        Ok(background(move || {
            watch.catch_up()?;
            lock(&watch.set).origins.looks_ended();
            Ok(())
        }))
    }

    /// From now on marks that memory has no room for go to a file in this folder, which may grow up to `maximum_bytes` (infinite: as far as there
    /// is room) and leaves so much free on its file system. Not to be on one of the file systems that are captured.
    #[napi]
    pub fn keep_on_disk(&self, folder: Buffer, maximum_bytes: f64, minimum_free_bytes: f64) -> napi::Result<()> {
        let watch = self.watch()?;
        let maximum = maximum_bytes.is_finite().then_some(maximum_bytes as u64);
        lock(&watch.set).keep_on_disk(Spool::open(&folder, SpoolLimits { maximum, minimum_free: minimum_free_bytes as u64 })?);
        Ok(())
    }

    /// How many marks wait; since when the oldest one; their bytes; since when ranges are coarser than they could be, and since when files
    /// are whole; their bytes on disk, since when there are any, and since when it is half full. Times are milliseconds since the epoch, -1 for none.
    #[napi]
    pub fn pending(&self) -> Vec<f64> {
        let pending = self.watch.as_ref().map_or(Pending::default(), |watch| watch.pending());
        let time = |time: Option<f64>| time.unwrap_or(-1.0);
        let Pending { count, oldest_ms, bytes, blur, disk } = pending;
        let memory = [count as f64, time(oldest_ms), bytes as f64, time(blur.coarse_since_ms), time(blur.whole_since_ms)];
        memory.into_iter().chain([disk.bytes as f64, time(disk.since_ms), time(disk.half_since_ms)]).collect()
    }

    /// Ends the capture. Calling it again does nothing.
    #[napi]
    pub fn close(&mut self) {
        if let Some(watch) = self.watch.take() {
            watch.stop.signal();
        }
        // the volumes' roots are closed when this returns (or with a `take` that is under way)
        for reader in self.readers.drain(..) {
            let _ = reader.join();
        }
    }
}

impl Drop for FanotifyWatch {
    fn drop(&mut self) {
        self.close();
    }
}
