//! Freezing through the watchdog process (bin/landfall-thaw.rs), and what the agent needs so that it never waits for a frozen file system.
use crate::background::{Background, background};
use crate::errno::{Errno, Result};
use crate::fanotify::locked;
use napi::bindgen_prelude::{AsyncTask, Buffer};
use napi_derive::napi;
use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStringExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};

const FITHAW: libc::c_ulong = 0xC004_5878;
const ANSWER_TAIL_BYTES: usize = 6;

struct Ends {
    input: Option<ChildStdin>,
    output: ChildStdout,
    child: Child,
    /// the mount points once more, in freezing order: when the watchdog itself dies, the agent thaws
    roots: Vec<File>,
}

impl Ends {
    /// The answer to the last order: its byte, and six more for a failure. EPIPE when the watchdog is gone.
    fn answer(&mut self, fails_with: u8) -> Result<Vec<u8>> {
        let mut bytes = vec![0u8; 1];
        self.output.read_exact(&mut bytes).map_err(|_| Errno(libc::EPIPE))?;
        if bytes[0] == fails_with {
            bytes.resize(1 + ANSWER_TAIL_BYTES, 0);
            self.output.read_exact(&mut bytes[1..]).map_err(|_| Errno(libc::EPIPE))?;
        }
        Ok(bytes)
    }

    fn order(&mut self, order: u8) -> Result<Vec<u8>> {
        let input = self.input.as_mut().ok_or(Errno(libc::EPIPE))?;
        input.write_all(&[order]).map_err(|_| Errno(libc::EPIPE))?;
        self.answer(if order == b'F' { b'X' } else { 0 })
    }

    fn thaw_ourselves(&self) {
        for root in self.roots.iter().rev() {
            // SAFETY: the descriptor is ours; FITHAW takes no argument; EINVAL says that it is not frozen.
            while unsafe { libc::ioctl(root.as_raw_fd(), FITHAW, 0) } < 0 && Errno::last().0 == libc::EINTR {}
        }
    }

    fn end(&mut self) {
        self.input = None;
        let _ = self.child.wait();
        self.roots.clear();
    }
}

impl Drop for Ends {
    fn drop(&mut self) {
        self.end();
    }
}

/// The watchdog process of one freeze. Its mount points are frozen in the order given.
#[napi]
pub struct FreezeWatchdog {
    ends: Arc<Mutex<Ends>>,
}

#[napi]
impl FreezeWatchdog {
    /// Starts the program, which opens everything it needs; `ready` says whether it could.
    #[napi(factory)]
    pub fn start(program: Buffer, hold_ms: f64, mount_points: Vec<Buffer>) -> napi::Result<Self> {
        let errno = |error: std::io::Error| Errno(error.raw_os_error().unwrap_or(libc::EIO));
        let paths: Vec<OsString> = mount_points.iter().map(|path| OsString::from_vec(path.to_vec())).collect();
        let roots: Result<Vec<File>> = paths.iter().map(|path| File::open(path).map_err(errno)).collect();
        let roots = roots?;
        let mut child = Command::new(OsString::from_vec(program.to_vec()))
            .arg(format!("{}", hold_ms as u64))
            .args(&paths)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(errno)?;
        let input = child.stdin.take();
        let output = child.stdout.take().ok_or(Errno(libc::EPIPE))?;
        Ok(FreezeWatchdog { ends: Arc::new(Mutex::new(Ends { input, output, child, roots })) })
    }

    /// The watchdog's first word: R, or N with index and errno of the mount point.
    #[napi]
    pub fn ready(&self) -> AsyncTask<Background<Buffer>> {
        let ends = Arc::clone(&self.ends);
        background(move || Ok(Buffer::from(locked(&ends).answer(b'N')?)))
    }

    /// Gives an order (its byte) and answers the watchdog's answer; EPIPE when the watchdog is gone.
    #[napi]
    pub fn order(&self, order: u8) -> AsyncTask<Background<Buffer>> {
        let ends = Arc::clone(&self.ends);
        background(move || Ok(Buffer::from(locked(&ends).order(order)?)))
    }

    /// Thaws without the watchdog, for when it is gone.
    #[napi]
    pub fn thaw_ourselves(&self) -> AsyncTask<Background<()>> {
        let ends = Arc::clone(&self.ends);
        background(move || {
            locked(&ends).thaw_ourselves();
            Ok(())
        })
    }

    /// Lets the watchdog go, which thaws unless it was told to leave, and waits for its end.
    #[napi]
    pub fn end(&self) -> AsyncTask<Background<()>> {
        let ends = Arc::clone(&self.ends);
        background(move || {
            locked(&ends).end();
            Ok(())
        })
    }

    /// Process id of the watchdog.
    #[napi]
    pub fn pid(&self) -> u32 {
        locked(&self.ends).child.id()
    }
}
