//! Freezing through the watchdog processes (bin/landfall-thaw). What they say is read by a thread of its own, never by libuv's pool: looks at
//! files of a frozen file system may hang there, and the thaw must not wait for them.
use crate::errno::{Errno, Result};
use crate::mutex::lock;
use napi::bindgen_prelude::{Buffer, Object};
use napi::{Env, JsDeferred};
use napi_derive::napi;
use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStringExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

const FITHAW: libc::c_ulong = 0xC004_5878;
const MESSAGE_BYTES: usize = 7;

type Deferred = JsDeferred<Buffer, Box<dyn FnOnce(Env) -> napi::Result<Buffer>>>;

struct Ends {
    input: Option<ChildStdin>,
    /// messages that nobody has asked for yet
    messages: VecDeque<[u8; MESSAGE_BYTES]>,
    waiting: VecDeque<Deferred>,
    /// all processes of the watchdog are gone
    gone: bool,
    /// something may be frozen for which the watchdog answers
    answers: bool,
}

impl Ends {
    fn take(&mut self, message: [u8; MESSAGE_BYTES]) {
        let errno = i32::from_le_bytes([message[3], message[4], message[5], message[6]]);
        // given up, it may freeze yet
        if matches!(message[0], b'T' | b'E') || (message[0] == b'X' && errno != libc::ETIMEDOUT) {
            self.answers = false;
        }
        match self.waiting.pop_front() {
            Some(waiting) => resolve(waiting, message),
            None => self.messages.push_back(message),
        }
    }
}

fn resolve(waiting: Deferred, message: [u8; MESSAGE_BYTES]) {
    waiting.resolve(Box::new(move |_| Ok(Buffer::from(message.as_slice()))));
}

fn thaw(roots: &[File]) {
    for root in roots.iter().rev() {
        // SAFETY: the descriptor is ours; FITHAW takes no argument; EINVAL says that it is not frozen.
        while unsafe { libc::ioctl(root.as_raw_fd(), FITHAW, 0) } < 0 && Errno::last().0 == libc::EINTR {}
    }
}

/// Hears the watchdog until all its processes are gone; thaws then what they may have left.
fn hear(ends: &Mutex<Ends>, mut output: ChildStdout, mut child: Child, roots: &Mutex<Vec<File>>) {
    let mut message = [0u8; MESSAGE_BYTES];
    while output.read_exact(&mut message).is_ok() {
        lock(ends).take(message);
    }
    {
        let mut roots = lock(roots);
        if lock(ends).answers {
            thaw(&roots);
        }
        // whoever waits for the end wants to unmount
        roots.clear();
    }
    {
        let mut ends = lock(ends);
        ends.gone = true;
        for waiting in std::mem::take(&mut ends.waiting) {
            waiting.reject(Errno(libc::EPIPE).into());
        }
    }
    let _ = child.wait();
}

/// The watchdog of one freeze. Its mount points are frozen in the order given.
#[napi]
pub struct FreezeWatchdog {
    ends: Arc<Mutex<Ends>>,
    /// the mount points once more: when the watchdog is gone, the agent thaws
    roots: Arc<Mutex<Vec<File>>>,
    pid: u32,
}

#[napi]
impl FreezeWatchdog {
    /// Starts the program, which opens everything it needs; its first message says whether it could.
    #[napi(factory)]
    pub fn start(program: Buffer, hold_ms: f64, freeze_ms: f64, mount_points: Vec<Buffer>) -> napi::Result<Self> {
        let paths: Vec<OsString> = mount_points.iter().map(|path| OsString::from_vec(path.to_vec())).collect();
        let roots: Result<Vec<File>> = paths.iter().map(|path| File::open(path).map_err(Errno::from)).collect();
        let roots = Arc::new(Mutex::new(roots?));
        let mut child = Command::new(OsString::from_vec(program.to_vec()))
            .args([hold_ms, freeze_ms].map(|ms| format!("{}", ms as u64)))
            .args(&paths)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(Errno::from)?;
        let pid = child.id();
        let input = child.stdin.take();
        let output = child.stdout.take().ok_or(Errno(libc::EPIPE))?;
        let ends = Arc::new(Mutex::new(Ends { input, messages: VecDeque::new(), waiting: VecDeque::new(), gone: false, answers: false }));
        let (heard, kept) = (Arc::clone(&ends), Arc::clone(&roots));
        thread::Builder::new().name("freeze".into()).spawn(move || hear(&heard, output, child, &kept)).map_err(Errno::from)?;
        Ok(FreezeWatchdog { ends, roots, pid })
    }

    /// The watchdog's next message: 7 bytes. Rejects with EPIPE when the watchdog is gone and everything is thawed that it had frozen.
    #[napi]
    pub fn message<'env>(&self, env: &'env Env) -> napi::Result<Object<'env>> {
        let (waiting, promise): (Deferred, Object) = env.create_deferred()?;
        let mut ends = lock(&self.ends);
        match ends.messages.pop_front() {
            Some(message) => resolve(waiting, message),
            None if ends.gone => waiting.reject(Errno(libc::EPIPE).into()),
            None => ends.waiting.push_back(waiting),
        }
        Ok(promise)
    }

    /// Gives an order, which never waits. To a watchdog that is gone it says nothing: the end of its messages does.
    #[napi]
    pub fn order(&self, order: u8) {
        let mut ends = lock(&self.ends);
        if order == b'F' {
            ends.answers = true;
        }
        if let Some(input) = ends.input.as_mut() {
            let _ = input.write_all(&[order]);
        }
    }

    /// Thaws without the watchdog, on a thread of its own, and ends it: it does not answer.
    #[napi]
    pub fn abandon(&self) -> napi::Result<()> {
        let roots = Arc::clone(&self.roots);
        let pid = libc::pid_t::try_from(self.pid).map_err(|_| Errno(libc::ESRCH))?;
        let mut ends = lock(&self.ends);
        ends.input = None;
        if !ends.gone {
            // SAFETY: takes numbers; nobody waits for the child before it is gone, so the number is still its.
            unsafe { libc::kill(pid, libc::SIGKILL) };
        }
        thread::Builder::new().name("thaw".into()).spawn(move || thaw(&lock(&roots))).map_err(Errno::from)?;
        Ok(())
    }

    /// Lets the watchdog go, which thaws. The end of its messages says when it is gone.
    #[napi]
    pub fn end(&self) {
        lock(&self.ends).input = None;
    }

    /// Process id of the watchdog.
    #[napi]
    pub fn pid(&self) -> u32 {
        self.pid
    }
}
