//! What a link's thread and JavaScript hand to each other. They wake each other seldom.
use super::bodies::{Body, Spare};
use super::sleeper::Sleeper;
use crate::errno::Result;
use crate::frame::{HEADER_BYTES, Head};
use crate::mutex::lock;
use napi::bindgen_prelude::Buffer;
use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI32, AtomicU64, AtomicUsize, Ordering};

/// What may wait for JavaScript: more than a peer may send by its credit. Beyond, the socket is not read.
const ARRIVED_MAX: usize = 16 * 1024 * 1024;
/// What one frame costs besides its body: bounds how many empty ones may wait.
const FRAME_COST: usize = 256;
/// Buffers that were written are let go by JavaScript's thread; from so many bytes on it is woken for it.
const WRITTEN_MAX: usize = 4 * 1024 * 1024;

pub struct Outgoing {
    pub head: Buffer,
    pub body: Buffer,
}

impl Outgoing {
    pub fn len(&self) -> usize {
        self.head.len() + self.body.len()
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Closing {
    No,
    Orderly,
    AtOnce,
}

pub struct End {
    pub kind: &'static str,
    pub what: String,
}

pub struct Peer {
    pub distrust: String,
    pub certificate: Vec<u8>,
}

struct State {
    urgent: VecDeque<Outgoing>,
    unsent_urgent: usize,
    data: VecDeque<Outgoing>,
    /// of data, as JavaScript gave it
    unsent: usize,
    written: Vec<Outgoing>,
    written_bytes: usize,
    /// JavaScript waits for `unsent` to fall
    held_back: bool,
    arrived: Vec<(Head, Body)>,
    arrived_bytes: usize,
    spare: Spare,
    peer: Option<Peer>,
    end: Option<End>,
    closing: Closing,
    /// JavaScript was called and has not come yet
    called: bool,
}

pub struct Shared {
    state: Mutex<State>,
    high_water: AtomicUsize,
    /// bytes per second on the wire; 0: no limit
    rate: AtomicU64,
    /// of zstd; 0: nothing is packed
    level: AtomicI32,
    pub sleeper: Sleeper,
    heard: AtomicU64,
    /// bytes of frames that went out, as they were packed
    packed: AtomicU64,
    /// bytes given to the socket
    written: AtomicU64,
    /// keeps the process alive, so it goes with the end
    call: Mutex<Option<Call>>,
}

/// Calls JavaScript; false when that is gone.
pub type Call = Box<dyn Fn() -> bool + Send>;

pub struct Taken {
    pub frames: Vec<(Head, Body)>,
    pub unsent: u32,
    pub peer: Option<Peer>,
    pub end: Option<End>,
}

/// What the thread finds when it looks.
pub struct Orders {
    /// there is a frame to send
    pub has_next: bool,
    pub closing: Closing,
    pub may_read: bool,
    pub rate: u64,
}

impl Shared {
    pub fn new(high_water: usize, call: Call) -> Result<Self> {
        let state = State {
            urgent: VecDeque::new(), unsent_urgent: 0, data: VecDeque::new(), unsent: 0, written: Vec::new(), written_bytes: 0, held_back: false, arrived: Vec::new(), arrived_bytes: 0,
            spare: Spare::default(), peer: None, end: None, closing: Closing::No, called: false,
        };
        Ok(Shared {
            state: Mutex::new(state), high_water: AtomicUsize::new(high_water), rate: AtomicU64::new(0), level: AtomicI32::new(0), sleeper: Sleeper::new()?,
            heard: AtomicU64::new(0), packed: AtomicU64::new(0), written: AtomicU64::new(0), call: Mutex::new(Some(call)),
        })
    }

    // for JavaScript's thread

    /// What is urgent goes before data that waits. Gives the bytes of data that are not with the network yet.
    pub fn send(&self, frame: Outgoing, is_urgent: bool) -> u32 {
        let (unsent, written) = {
            let mut guard = lock(&self.state);
            let state = &mut *guard;
            let (queue, unsent) = if is_urgent { (&mut state.urgent, &mut state.unsent_urgent) } else { (&mut state.data, &mut state.unsent) };
            *unsent += frame.len();
            if state.end.is_none() && state.closing == Closing::No {
                queue.push_back(frame);
            }
            state.held_back = state.unsent > self.high_water();
            state.written_bytes = 0;
            (state.unsent as u32, std::mem::take(&mut state.written))
        };
        self.sleeper.wake();
        drop(written);
        unsent
    }

    pub fn take(&self) -> Taken {
        let (taken, written, was_full) = {
            let mut state = lock(&self.state);
            state.called = false;
            state.held_back = state.unsent > self.high_water();
            let was_full = state.arrived_bytes > ARRIVED_MAX;
            state.arrived_bytes = 0;
            state.written_bytes = 0;
            let frames = std::mem::take(&mut state.arrived);
            // the end stands behind the frames
            let taken = Taken { frames, unsent: state.unsent as u32, peer: state.peer.take(), end: state.end.take() };
            (taken, std::mem::take(&mut state.written), was_full)
        };
        if was_full {
            self.sleeper.wake();
        }
        drop(written);
        taken
    }

    pub fn supply(&self, memory: Buffer) -> Vec<Buffer> {
        lock(&self.state).spare.put(memory)
    }

    /// Of everything.
    pub fn unsent(&self) -> u32 {
        let state = lock(&self.state);
        (state.unsent + state.unsent_urgent) as u32
    }

    pub fn set_pace(&self, rate: u64, level: i32, high_water: usize) {
        self.rate.store(rate, Ordering::Relaxed);
        self.level.store(level, Ordering::Relaxed);
        self.high_water.store(high_water, Ordering::Relaxed);
        self.sleeper.wake();
    }

    pub fn packed(&self) -> u64 {
        self.packed.load(Ordering::Relaxed)
    }

    pub fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    fn high_water(&self) -> usize {
        self.high_water.load(Ordering::Relaxed)
    }

    pub fn heard(&self) -> u64 {
        self.heard.load(Ordering::Relaxed)
    }

    pub fn close(&self, how: Closing) {
        {
            let mut state = lock(&self.state);
            state.closing = state.closing.max(how);
        }
        self.sleeper.wake();
    }

    // for the link's thread

    /// What JavaScript wishes.
    pub fn orders(&self) -> Orders {
        let state = lock(&self.state);
        let has_next = !state.urgent.is_empty() || !state.data.is_empty();
        Orders { has_next, closing: state.closing, may_read: state.arrived_bytes <= ARRIVED_MAX, rate: self.rate.load(Ordering::Relaxed) }
    }

    pub fn next_urgent(&self) -> Option<Outgoing> {
        lock(&self.state).urgent.pop_front()
    }

    pub fn next_data(&self) -> Option<Outgoing> {
        lock(&self.state).data.pop_front()
    }

    pub fn level(&self) -> i32 {
        self.level.load(Ordering::Relaxed)
    }

    /// `frame` of data is with the network; it took so many bytes.
    pub fn sent(&self, frame: Outgoing, packed_bytes: usize) {
        self.packed.fetch_add(packed_bytes as u64, Ordering::Relaxed);
        let mut state = lock(&self.state);
        let bytes = frame.len();
        state.unsent -= bytes.min(state.unsent);
        self.let_go(state, frame, bytes);
    }

    /// An urgent `frame` is with the network.
    pub fn sent_urgent(&self, frame: Outgoing) {
        let bytes = frame.len();
        self.packed.fetch_add(bytes as u64, Ordering::Relaxed);
        let mut state = lock(&self.state);
        state.unsent_urgent -= bytes.min(state.unsent_urgent);
        self.let_go(state, frame, bytes);
    }

    fn let_go(&self, mut state: std::sync::MutexGuard<'_, State>, frame: Outgoing, bytes: usize) {
        state.written_bytes += bytes;
        state.written.push(frame);
        if state.written_bytes >= WRITTEN_MAX || state.held_back && state.unsent <= self.high_water() {
            state.held_back = false;
            self.call(state);
        }
    }

    pub fn wrote(&self, bytes: usize) {
        self.written.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub fn heard_more(&self, bytes: usize) {
        self.heard.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub fn body(&self, head: &Head) -> Body {
        lock(&self.state).spare.body(head)
    }

    pub fn arrived(&self, frames: &mut Vec<(Head, Body)>) {
        let mut state = lock(&self.state);
        state.arrived_bytes += frames.iter().map(|(head, _)| head.length + HEADER_BYTES + FRAME_COST).sum::<usize>();
        state.arrived.append(frames);
        self.call(state);
    }

    pub fn handshake_done(&self, peer: Peer) {
        let mut state = lock(&self.state);
        state.peer = Some(peer);
        self.call(state);
    }

    pub fn ended(&self, end: End) {
        let mut state = lock(&self.state);
        state.end = Some(end);
        let left: Vec<_> = std::mem::take(&mut state.urgent).into_iter().chain(std::mem::take(&mut state.data)).collect();
        state.written.extend(left);
        self.call(state);
        *lock(&self.call) = None;
    }

    /// A link whose JavaScript is gone has nobody to read for.
    fn call(&self, mut state: std::sync::MutexGuard<'_, State>) {
        if !std::mem::replace(&mut state.called, true) && !lock(&self.call).as_ref().is_some_and(|call| call()) {
            state.closing = Closing::AtOnce;
        }
    }
}
