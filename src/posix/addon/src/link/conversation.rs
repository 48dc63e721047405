//! One link's thread: socket, TLS and frames both ways, until the end. It owns the socket. Whatever goes wrong ends this link alone.
use super::bodies::{Arriving, Body};
use super::identity::Judge;
use super::outbox::{Outbox, RECORD_BYTES, RECORD_OVERHEAD};
use super::pace::Pace;
use super::records::RESERVE;
use super::shared::{Closing, End, Orders, Shared};
use super::tls::{Failure, Out, Tls, User, Writer};
use crate::errno::{Errno, check};
use crate::frame::{FrameParser, Head};
use std::os::fd::{AsRawFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Records that are sent with one system call: large enough that calls cost little, small enough to stay in the processor's cache.
const OUT_BYTES: usize = 16 * (RECORD_BYTES + RECORD_OVERHEAD) + RESERVE;
const IN_BYTES: usize = 256 * 1024;
/// The part of a second that may wait encrypted on a limited link.
const AHEAD_SHARE: u64 = 50;

const CUT: &str = "the connection was closed";

/// Between plaintext and JavaScript.
struct Traffic {
    shared: Arc<Shared>,
    parser: FrameParser<Body>,
    arrived: Vec<(Head, Body)>,
    /// what comes is dropped unread: from a stranger, or behind our own end
    deaf: bool,
    established: bool,
    outbox: Outbox,
    rate: u64,
    closing: Closing,
    said_goodbye: bool,
}

impl User for Traffic {
    fn plaintext(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        if self.deaf {
            return Ok(());
        }
        let shared = &self.shared;
        let mut arriving = Arriving { spare: &mut |head| shared.body(head), frames: std::mem::take(&mut self.arrived) };
        let pushed = self.parser.push(bytes, &mut arriving);
        self.arrived = arriving.frames;
        pushed.map_err(Failure::Frame)
    }

    fn place(&mut self, length: usize) -> Option<&mut [u8]> {
        if self.deaf { None } else { self.parser.place(length) }
    }

    fn placed(&mut self, count: usize) -> Result<(), Failure> {
        let shared = &self.shared;
        let mut arriving = Arriving { spare: &mut |head| shared.body(head), frames: std::mem::take(&mut self.arrived) };
        let pushed = self.parser.placed(count, &mut arriving);
        self.arrived = arriving.frames;
        pushed.map_err(Failure::Frame)
    }

    fn write(&mut self, to: &mut dyn Writer) -> Result<(), Failure> {
        while self.established && !self.said_goodbye && to.room() >= RECORD_BYTES + RECORD_OVERHEAD {
            // on a limited link little is encrypted ahead: what is urgent would have to wait behind it
            if self.rate > 0 && to.waiting() as u64 > self.rate / AHEAD_SHARE {
                return Ok(());
            }
            if self.outbox.write_record(&self.shared, self.rate, to)? {
                continue;
            }
            if self.closing == Closing::Orderly && !self.shared.orders().has_next {
                to.close_notify()?;
                self.said_goodbye = true;
            }
            return Ok(());
        }
        Ok(())
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
    pace: Pace,
    /// how long nothing may be sent
    pause: Option<Duration>,
}

impl Conversation {
    pub fn new(socket: OwnedFd, (tls, judge): (Tls, Judge), shared: Arc<Shared>) -> Self {
        let traffic = Traffic {
            shared, parser: FrameParser::default(), arrived: Vec::new(), deaf: false, established: false, outbox: Outbox::default(), rate: 0,
            closing: Closing::No, said_goodbye: false,
        };
        Conversation { socket, tls, judge, traffic, incoming: vec![0; IN_BYTES], filled: 0, out: Out::new(OUT_BYTES), out_shut: false, pace: Pace::new(Instant::now()), pause: None }
    }

    /// Runs to the end, which is told to JavaScript when the socket is closed. A defect here costs this link alone.
    pub fn run(mut self) {
        let end = catch_unwind(AssertUnwindSafe(|| self.converse())).unwrap_or_else(|_| End { kind: "lost", what: "the link's thread has failed".to_owned() });
        let Conversation { socket, traffic, .. } = self;
        drop(socket);
        let Traffic { shared, mut arrived, outbox, .. } = traffic;
        if !arrived.is_empty() {
            shared.arrived(&mut arrived);
        }
        for frame in outbox.leave() {
            shared.sent(frame, 0);
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
            let progressed = self.note_handshake()?;
            let sent = self.flush();
            let orders = self.traffic.shared.orders();
            self.follow(&orders);
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
    fn note_handshake(&mut self) -> Result<bool, Failure> {
        if self.traffic.established || self.tls.is_handshaking() {
            return Ok(false);
        }
        self.traffic.established = true;
        let peer = self.judge.peer(self.tls.peer_certificates());
        self.traffic.deaf = !peer.distrust.is_empty();
        self.traffic.shared.handshake_done(peer);
        self.tls.establish()?;
        Ok(true)
    }

    fn follow(&mut self, &Orders { closing, rate, .. }: &Orders) {
        self.traffic.rate = rate;
        self.pace.set(rate, Instant::now());
        self.traffic.closing = closing;
        if closing == Closing::Orderly {
            self.traffic.deaf = true;
            if !self.traffic.established {
                self.traffic.closing = Closing::AtOnce;
            }
        }
    }

    /// Sends what is encrypted. Gives whether there may be more to encrypt now: false when the socket is full, it is not time yet, or nothing was there.
    fn flush(&mut self) -> Result<bool, Errno> {
        let mut some = false;
        self.pause = None;
        while !self.out.is_empty() {
            let pending = self.out.pending();
            let pending = match self.pace.allowance(pending.len(), Instant::now()) {
                Ok(count) => &pending[..count],
                Err(pause) => {
                    self.pause = Some(pause);
                    return Ok(false);
                }
            };
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
            self.pace.spent(count as usize);
            self.traffic.shared.wrote(count as usize);
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
        shared.sleeper.will_sleep();
        let orders = shared.orders();
        let may_say = self.out.is_empty() && self.traffic.established && !self.traffic.said_goodbye;
        // the wish to close may have come behind the last look at what is to be said
        let has_words = orders.has_next || self.traffic.outbox.is_busy() || orders.closing == Closing::Orderly;
        let has_work = orders.closing != self.traffic.closing || orders.may_read != may_read || orders.rate != self.traffic.rate || may_say && has_words;
        if has_work {
            shared.sleeper.stay_awake();
            return Ok(());
        }
        let mut events = 0;
        if may_read {
            events |= libc::POLLIN;
        }
        if !self.out.is_empty() && self.pause.is_none() {
            events |= libc::POLLOUT;
        }
        // a socket that nothing is wanted from would wake us by its end again and again
        shared.sleeper.sleep(if events == 0 { -1 } else { self.socket.as_raw_fd() }, events, self.pause)
    }
}
