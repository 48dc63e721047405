//! One link's thread: socket, TLS and frames both ways, until the end. It owns the socket. Whatever goes wrong ends this link alone.
use super::bodies::{Arriving, Body};
use super::identity::Judge;
use super::shared::{Closing, End, Outgoing, Shared};
use super::tls::{Failure, Out, Tls, User, Writer};
use crate::errno::{Errno, check};
use crate::frame::{FrameParser, Head};
use std::os::fd::{AsRawFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// What one record of TLS takes besides its plaintext, at most.
const RECORD_OVERHEAD: usize = 5 + 1 + 16;
/// Plaintext of one record.
const RECORD_BYTES: usize = 16 * 1024;
/// Records that are sent with one system call: large enough that calls cost little, small enough to stay in the processor's cache.
const OUT_BYTES: usize = 16 * (RECORD_BYTES + RECORD_OVERHEAD);
const IN_BYTES: usize = 256 * 1024;

const CUT: &str = "the connection was closed";

/// Between plaintext and JavaScript.
struct Traffic {
    shared: Arc<Shared>,
    parser: FrameParser<Body>,
    arrived: Vec<(Head, Body)>,
    /// what comes is dropped unread: from a stranger, or behind our own end
    deaf: bool,
    established: bool,
    current: Option<(Outgoing, usize)>,
    record: Vec<u8>,
    closing: Closing,
    said_goodbye: bool,
}

impl User for Traffic {
    fn plaintext(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        if self.deaf {
            return Ok(());
        }
        let shared = &self.shared;
        let mut arriving = Arriving { spare: &mut |length| shared.body(length), frames: std::mem::take(&mut self.arrived) };
        let pushed = self.parser.push(bytes, &mut arriving);
        self.arrived = arriving.frames;
        pushed.map_err(Failure::Frame)
    }

    fn write(&mut self, to: &mut dyn Writer) -> Result<(), Failure> {
        while self.established && !self.said_goodbye && to.room() >= RECORD_BYTES + RECORD_OVERHEAD {
            let (frame, at) = match self.current.take() {
                Some(begun) => begun,
                None => match self.shared.orders(true) {
                    orders if orders.next.is_none() => {
                        if orders.closing == Closing::Orderly {
                            to.close_notify()?;
                            self.said_goodbye = true;
                        }
                        return Ok(());
                    }
                    orders => match orders.next {
                        Some(frame) => (frame, 0),
                        None => return Ok(()),
                    },
                },
            };
            let at = self.encrypt(&frame, at, to)?;
            if at == frame.len() { self.shared.sent(frame) } else { self.current = Some((frame, at)) }
        }
        Ok(())
    }
}

impl Traffic {
    /// One record of the frame. Gives where the next one begins.
    fn encrypt(&mut self, frame: &Outgoing, at: usize, to: &mut dyn Writer) -> Result<usize, Failure> {
        let head = frame.head.len();
        let end = frame.len().min(at + RECORD_BYTES);
        if at >= head {
            to.record(&frame.body[at - head..end - head])?;
        } else {
            self.record.clear();
            self.record.extend_from_slice(&frame.head[at..head.min(end)]);
            self.record.extend_from_slice(&frame.body[..end.saturating_sub(head)]);
            to.record(&self.record)?;
        }
        Ok(end)
    }
}

pub struct Conversation {
    socket: OwnedFd,
    tls: Tls,
    judge: Judge,
    traffic: Traffic,
    incoming: Vec<u8>,
    filled: usize,
    out: Out,
    out_shut: bool,
}

impl Conversation {
    pub fn new(socket: OwnedFd, (tls, judge): (Tls, Judge), shared: Arc<Shared>) -> Self {
        let traffic = Traffic {
            shared, parser: FrameParser::default(), arrived: Vec::new(), deaf: false, established: false, current: None, record: Vec::new(),
            closing: Closing::No, said_goodbye: false,
        };
        Conversation { socket, tls, judge, traffic, incoming: vec![0; IN_BYTES], filled: 0, out: Out::new(OUT_BYTES), out_shut: false }
    }

    /// Runs to the end, which is told to JavaScript when the socket is closed. A defect here costs this link alone.
    pub fn run(mut self) {
        let end = catch_unwind(AssertUnwindSafe(|| self.converse())).unwrap_or_else(|_| End { kind: "lost", what: "the link's thread has failed".to_owned() });
        let Conversation { socket, traffic, .. } = self;
        drop(socket);
        let Traffic { shared, mut arrived, current, .. } = traffic;
        if !arrived.is_empty() {
            shared.arrived(&mut arrived);
        }
        if let Some((frame, _)) = current {
            shared.sent(frame);
        }
        shared.ended(end);
    }

    fn converse(&mut self) -> End {
        match self.exchange() {
            Ok(end) => end,
            Err(failure) => {
                // the reason is worth more than the peer's knowing it
                let _ = catch_unwind(AssertUnwindSafe(|| {
                    self.tls.last_words(&mut self.incoming[..self.filled], &mut self.out);
                    self.flush()
                }));
                let kind = match &failure {
                    Failure::Frame(_) => "invalid",
                    failure if failure.is_distrust() => "untrusted",
                    _ => "lost",
                };
                End { kind, what: failure.to_string() }
            }
        }
    }

    fn exchange(&mut self) -> Result<End, Failure> {
        let lost = |what: &str| End { kind: "lost", what: what.to_owned() };
        loop {
            let (taken, pumped) = self.tls.pump(&mut self.incoming[..self.filled], &mut self.out, &mut self.traffic);
            self.incoming.copy_within(taken..self.filled, 0);
            self.filled -= taken;
            if !self.traffic.arrived.is_empty() {
                self.traffic.shared.arrived(&mut self.traffic.arrived);
            }
            let mut peer_closed = pumped?;
            let progressed = self.note_handshake();
            let sent = self.flush();
            let orders = self.traffic.shared.orders(false);
            self.follow(orders.closing);
            if self.traffic.closing == Closing::AtOnce {
                return Ok(End { kind: "closed", what: CUT.to_owned() });
            }
            let mut read = false;
            if orders.may_read && !peer_closed {
                match self.read() {
                    Ok(Some(0)) => peer_closed = true,
                    Ok(Some(_)) => read = true,
                    Ok(None) => {}
                    Err(errno) => return Ok(lost(&std::io::Error::from_raw_os_error(errno.0).to_string())),
                }
            }
            if peer_closed {
                return Ok(if self.traffic.said_goodbye { End { kind: "closed", what: CUT.to_owned() } } else { lost("the peer ended the connection in the middle") });
            }
            match sent {
                Err(errno) if !self.traffic.said_goodbye => return Ok(lost(&std::io::Error::from_raw_os_error(errno.0).to_string())),
                _ if read || progressed => {}
                Ok(true) if !self.out_shut => {}
                _ => self.sleep(orders.may_read).map_err(|_| Failure::Other("the socket cannot be waited for"))?,
            }
        }
    }

    /// @returns whether the handshake has just ended
    fn note_handshake(&mut self) -> bool {
        if self.traffic.established || self.tls.is_handshaking() {
            return false;
        }
        self.traffic.established = true;
        let peer = self.judge.peer(self.tls.peer_certificates());
        self.traffic.deaf = !peer.distrust.is_empty();
        self.traffic.shared.handshake_done(peer);
        true
    }

    fn follow(&mut self, closing: Closing) {
        self.traffic.closing = closing;
        if closing == Closing::Orderly {
            self.traffic.deaf = true;
            if !self.traffic.established {
                self.traffic.closing = Closing::AtOnce;
            }
        }
    }

    /// Sends what is encrypted. Gives whether there may be more to encrypt now: false when the socket is full, or nothing was there.
    fn flush(&mut self) -> Result<bool, Errno> {
        let mut some = false;
        while !self.out.is_empty() {
            let pending = self.out.pending();
            // SAFETY: as many bytes are read from where they lie.
            let count = unsafe { libc::send(self.socket.as_raw_fd(), pending.as_ptr().cast(), pending.len(), libc::MSG_NOSIGNAL) };
            if count < 0 {
                match Errno::last() {
                    Errno(libc::EAGAIN) => return Ok(false),
                    Errno(libc::EINTR) => continue,
                    errno => return Err(errno),
                }
            }
            self.out.sent(count as usize);
            some = true;
        }
        if self.traffic.said_goodbye && !self.out_shut {
            self.out_shut = true;
            // SAFETY: takes numbers only.
            unsafe { libc::shutdown(self.socket.as_raw_fd(), libc::SHUT_WR) };
        }
        Ok(some)
    }

    /// Reads what there is; None when nothing is there, 0 at the end.
    fn read(&mut self) -> Result<Option<usize>, Errno> {
        let room = &mut self.incoming[self.filled..];
        // SAFETY: as many bytes may be written to where `room` lies.
        let count = unsafe { libc::recv(self.socket.as_raw_fd(), room.as_mut_ptr().cast(), room.len(), 0) };
        match check(count as i32) {
            Ok(count) => {
                self.filled += count as usize;
                self.traffic.shared.heard_more(count as usize);
                Ok(Some(count as usize))
            }
            Err(Errno(libc::EAGAIN | libc::EINTR)) => Ok(None),
            Err(errno) => Err(errno),
        }
    }

    fn sleep(&mut self, may_read: bool) -> Result<(), Errno> {
        let shared = &self.traffic.shared;
        shared.will_sleep();
        let orders = shared.orders(false);
        let has_work = orders.closing != self.traffic.closing || orders.may_read != may_read || self.out.is_empty() && self.traffic.established && !self.traffic.said_goodbye && orders.has_next;
        if has_work {
            shared.stay_awake();
            return Ok(());
        }
        let mut events = 0;
        if may_read {
            events |= libc::POLLIN;
        }
        if !self.out.is_empty() {
            events |= libc::POLLOUT;
        }
        // a socket that nothing is wanted from would wake us by its end again and again
        shared.sleep(if events == 0 { -1 } else { self.socket.as_raw_fd() }, events)
    }
}
