//! Links between agent and appliance: TLS and frames on a thread of their own, one per connection (src/posix/linking.ts is the typed face).
//! JavaScript sees whole frames and hands over buffers; it never sees ciphertext. What the messages mean, credit and signs of life are its
//! business.
mod bodies;
mod conversation;
mod identity;
mod outbox;
mod pace;
mod records;
mod shared;
mod sleeper;
mod tls;

use crate::errno::{Errno, Result, check, owned};
use crate::frame::Head;
use bodies::{Body, Memory};
use conversation::Conversation;
pub use identity::LinkIdentity;
use napi::bindgen_prelude::{Buffer, Function};
use napi_derive::napi;
use shared::{Closing, Outgoing, Shared};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;

/// enough for rustls and aws-lc, little for hundreds of strangers
const STACK_BYTES: usize = 512 * 1024;

/// One frame that arrived: its body has `length` bytes from `start` in `memory`, which is to be given back with `supply` where it is pooled.
#[napi(object, object_from_js = false)]
pub struct ArrivedFrame {
    pub kind: u8,
    pub volume: u16,
    pub start: u32,
    pub length: u32,
    pub pooled: bool,
    pub memory: Memory,
}

/// The other end, once the handshake is through.
#[napi(object, object_from_js = false)]
pub struct LinkPeer {
    /// why its certificate is not believed; empty when it is
    pub distrust: String,
    /// DER; empty when it has none
    pub certificate: Buffer,
}

/// What happened since the last call.
#[napi(object, object_from_js = false)]
pub struct Taken {
    pub frames: Vec<ArrivedFrame>,
    /// bytes of data that are not with the network yet
    pub unsent: u32,
    /// set once, when the handshake is through
    pub peer: Option<LinkPeer>,
    /// set once, behind the last frame: `closed`, `lost`, `invalid` or `untrusted`, and what happened in words
    pub end: Option<Vec<String>>,
}

#[napi]
pub struct NativeLink {
    shared: Arc<Shared>,
}

#[napi]
impl NativeLink {
    /**
     * Takes over a copy of the descriptor of a connected socket; the handshake begins at once. `wake` is called when there is something to
     * `take`, and not again before that was called. The process stays alive until the link has ended.
     */
    #[napi(factory)]
    pub fn open(identity: &LinkIdentity, fd: i32, is_server: bool, high_water: u32, wake: Function<'static, (), ()>) -> napi::Result<Self> {
        let tls = identity.begin(is_server)?;
        // SAFETY: takes numbers only.
        let socket = owned(unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 0) })?;
        prepare(&socket)?;
        let wake = wake.build_threadsafe_function::<()>().build()?;
        let shared = Arc::new(Shared::new(high_water as usize, Box::new(move || {
            wake.call((), napi::threadsafe_function::ThreadsafeFunctionCallMode::NonBlocking) == napi::Status::Ok
        }))?);
        let conversation = Conversation::new(socket, tls, Arc::clone(&shared));
        std::thread::Builder::new()
            .name("link".to_owned())
            .stack_size(STACK_BYTES)
            .spawn(move || conversation.run())
            .map_err(Errno::from)?;
        Ok(NativeLink { shared })
    }

    /// Hands a frame over; both buffers belong to the link until it was written. An urgent one goes before data that waits, and data keeps
    /// its order. Gives the bytes of data that are not with the network yet.
    #[napi]
    pub fn send(&self, head: Buffer, body: Buffer, is_urgent: bool) -> u32 {
        self.shared.send(Outgoing { head, body }, is_urgent)
    }

    /// From now on: at most so many bytes per second on the wire (0: no limit), data packed by zstd of this level (0: not), and `wake` when
    /// no more data than `high_water` waits.
    #[napi]
    pub fn set_pace(&self, bytes_per_second: f64, level: i32, high_water: u32) {
        self.shared.set_pace(bytes_per_second as u64, level, high_water as usize);
    }

    /// Bytes of the frames that went out, as they were packed.
    #[napi]
    pub fn packed(&self) -> f64 {
        self.shared.packed() as f64
    }

    /// Bytes given to the socket, those of TLS among them.
    #[napi]
    pub fn written(&self) -> f64 {
        self.shared.written() as f64
    }

    #[napi]
    pub fn take(&self) -> Taken {
        let taken = self.shared.take();
        let frame = |(head, body): (Head, Body)| {
            let Body { memory, start, pooled } = body;
            ArrivedFrame { kind: head.kind, volume: head.volume, start: start as u32, length: head.length as u32, pooled, memory }
        };
        let peer = taken.peer.map(|peer| LinkPeer { distrust: peer.distrust, certificate: peer.certificate.into() });
        let end = taken.end.map(|end| vec![end.kind.to_owned(), end.what]);
        Taken { frames: taken.frames.into_iter().map(frame).collect(), unsent: taken.unsent, peer, end }
    }

    /// Memory of a frame that nobody looks at any more, for a later one. What is not kept comes back.
    #[napi]
    pub fn supply(&self, memory: Buffer) -> Vec<Buffer> {
        self.shared.supply(memory)
    }

    /// Bytes that are not with the network yet, of data and of what is urgent.
    #[napi]
    pub fn unsent(&self) -> u32 {
        self.shared.unsent()
    }

    /// Bytes that came from the network so far, also those of a frame that is not whole.
    #[napi]
    pub fn heard(&self) -> f64 {
        self.shared.heard() as f64
    }

    /// Ends the link: when what was sent is written, or at once. Nothing arrives any more; `end` tells when it is done.
    #[napi]
    pub fn close(&self, at_once: bool) {
        self.shared.close(if at_once { Closing::AtOnce } else { Closing::Orderly });
    }
}

impl Drop for NativeLink {
    fn drop(&mut self) {
        self.shared.close(Closing::AtOnce);
    }
}

/// Many frames at a time are worth more than each of them soon; what is sent goes out at once all the same.
fn prepare(socket: &OwnedFd) -> Result<()> {
    let one: libc::c_int = 1;
    // SAFETY: the option is an int, whose address and size are given.
    check(unsafe { libc::setsockopt(socket.as_raw_fd(), libc::IPPROTO_TCP, libc::TCP_NODELAY, (&raw const one).cast(), size_of_val(&one) as libc::socklen_t) })?;
    // SAFETY: takes numbers only.
    let flags = check(unsafe { libc::fcntl(socket.as_raw_fd(), libc::F_GETFL) })?;
    // SAFETY: takes numbers only.
    check(unsafe { libc::fcntl(socket.as_raw_fd(), libc::F_SETFL, flags | libc::O_NONBLOCK) }).map(drop)
}
