//! VMware's RPC channel between a guest and its host, as far as one message needs it, in its low-bandwidth form, which every host takes (method:
//! Linux, drivers/gpu/drm/vmwgfx/vmwgfx_msg.c). A call is an `in` from a port on which the host looks at the registers. No memory is shared.
#![cfg_attr(not(test), no_std)]

/// What the host is called with, and what it answers.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Registers {
    pub eax: u32,
    pub ebx: u32,
    pub ecx: u32,
    pub edx: u32,
    pub esi: u32,
    pub edi: u32,
}

/// Something that answers at the port; what is no VMware leaves the registers as they are, or sets all bits of eax.
pub trait Host {
    fn call(&mut self, registers: Registers) -> Registers;
}

/// Why nothing was told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Refusal {
    /// no VMware host is there
    NoHost,
    /// it opens no channel
    NoChannel,
    /// it did not take the message, or broke off
    NotTaken,
    /// it took the message and did not do what it says
    NotDone,
}

pub const MAGIC: u32 = 0x564d_5868;
pub const PORT: u32 = 0x5658;
const GET_VERSION: u32 = 10;
const MESSAGE: u32 = 30;
/// "RPCI", from the guest to the host
const PROTOCOL: u32 = 0x4943_5052;
/// the channel is known by two words that only we have been told
const WITH_COOKIES: u32 = 0x8000_0000;
const SUCCESS: u32 = 1;
const HAS_REPLY: u32 = 1 << 1;
/// the VM was moved or suspended in the middle: once more
const CHECKPOINT: u32 = 1 << 4;
const TRIES: usize = 3;
const WORD: usize = 4;

#[derive(Clone, Copy)]
enum Step {
    Open = 0,
    SendSize = 1,
    SendPayload = 2,
    ReceiveSize = 3,
    ReceivePayload = 4,
    ReceiveStatus = 5,
    Close = 6,
}

/// An answer of the host to a step: the status, and what came in ebx.
struct Answer {
    status: u32,
    value: u32,
}

struct Channel<'a, H: Host> {
    host: &'a mut H,
    id: u32,
    cookies: (u32, u32),
}

/// Sends the parts as one message and waits for the host to say that it did what they say. @errors see Refusal
pub fn tell(host: &mut impl Host, parts: &[&[u8]]) -> Result<(), Refusal> {
    let version = host.call(Registers { eax: MAGIC, ebx: !MAGIC, ecx: GET_VERSION, edx: PORT, ..Registers::default() });
    if version.ebx != MAGIC || version.eax == u32::MAX {
        return Err(Refusal::NoHost);
    }
    for _ in 0..TRIES {
        let mut channel = Channel::open(host)?;
        let result = channel.exchange(parts);
        channel.step(Step::Close, 0);
        match result {
            Ok(true) => return Ok(()),
            Ok(false) => return Err(Refusal::NotDone),
            Err(status) if status & CHECKPOINT != 0 => {}
            Err(_) => break,
        }
    }
    Err(Refusal::NotTaken)
}

impl<'a, H: Host> Channel<'a, H> {
    fn open(host: &'a mut H) -> Result<Self, Refusal> {
        let answer = host.call(Registers { eax: MAGIC, ebx: PROTOCOL | WITH_COOKIES, ecx: MESSAGE | (Step::Open as u32) << 16, edx: PORT, ..Registers::default() });
        if answer.ecx >> 16 & SUCCESS == 0 {
            return Err(Refusal::NoChannel);
        }
        Ok(Self { host, id: answer.edx >> 16, cookies: (answer.esi, answer.edi) })
    }

    fn step(&mut self, step: Step, value: u32) -> Answer {
        let answer = self.host.call(Registers { eax: MAGIC, ebx: value, ecx: MESSAGE | (step as u32) << 16, edx: PORT | self.id << 16, esi: self.cookies.0, edi: self.cookies.1 });
        Answer { status: answer.ecx >> 16, value: answer.ebx }
    }

    /// A step that must succeed; else its status.
    fn must(&mut self, step: Step, value: u32) -> Result<Answer, u32> {
        let answer = self.step(step, value);
        if answer.status & SUCCESS == 0 { Err(answer.status) } else { Ok(answer) }
    }

    /// Whether the host did what the message says; the status of the step that failed.
    fn exchange(&mut self, parts: &[&[u8]]) -> Result<bool, u32> {
        let size: usize = parts.iter().map(|part| part.len()).sum();
        self.must(Step::SendSize, size as u32)?;
        let mut word = 0;
        let mut filled = 0;
        for byte in parts.iter().flat_map(|part| part.iter()) {
            word |= u32::from(*byte) << (8 * filled);
            filled += 1;
            if filled == WORD {
                self.must(Step::SendPayload, word)?;
                (word, filled) = (0, 0);
            }
        }
        if filled > 0 {
            self.must(Step::SendPayload, word)?;
        }
        let reply = self.must(Step::ReceiveSize, 0)?;
        if reply.status & HAS_REPLY == 0 {
            return Ok(false);
        }
        // "1 ..." when it was done
        let mut first = None;
        for _ in 0..(reply.value as usize).div_ceil(WORD) {
            let received = self.must(Step::ReceivePayload, SUCCESS)?.value;
            first.get_or_insert(received & 0xff);
        }
        self.must(Step::ReceiveStatus, SUCCESS)?;
        Ok(first == Some(u32::from(b'1')))
    }
}

#[cfg(test)]
mod tests;
