//! A host as the method's source describes it: it keeps strictly to the order of the steps, and remembers what was said.
use super::*;

struct Model {
    /// what the host answers to a whole message
    reply: &'static [u8],
    opens: bool,
    /// the VM is suspended at this call for data
    checkpoint_at: Option<usize>,
    said: Vec<Vec<u8>>,
    size: usize,
    message: Vec<u8>,
    replied: usize,
    open: bool,
    calls_for_data: usize,
}

const ID: u32 = 5;
const COOKIES: (u32, u32) = (0xdead_beef, 0x1234_5678);

impl Model {
    fn new(reply: &'static [u8]) -> Self {
        Self { reply, opens: true, checkpoint_at: None, said: Vec::new(), size: 0, message: Vec::new(), replied: 0, open: false, calls_for_data: 0 }
    }

    fn answer(&mut self, registers: Registers) -> (u32, u32) {
        assert_eq!(registers.edx, PORT | ID << 16);
        assert_eq!((registers.esi, registers.edi), COOKIES);
        assert!(self.open, "the channel is open");
        match registers.ecx >> 16 {
            1 => {
                self.size = registers.ebx as usize;
                self.message.clear();
                self.replied = 0;
                (SUCCESS | 1 << 7, 0) // it would take more at once, too
            }
            2 => {
                self.calls_for_data += 1;
                if self.checkpoint_at == Some(self.calls_for_data) {
                    return (CHECKPOINT, 0);
                }
                let left = (self.size - self.message.len()).min(WORD);
                assert!(left > 0, "no more than was announced");
                self.message.extend_from_slice(&registers.ebx.to_le_bytes()[..left]);
                (SUCCESS, 0)
            }
            3 => {
                assert_eq!(self.message.len(), self.size, "all that was announced");
                self.said.push(self.message.clone());
                (SUCCESS | if self.reply.is_empty() { 0 } else { HAS_REPLY }, self.reply.len() as u32)
            }
            4 => {
                assert_eq!(registers.ebx, SUCCESS);
                let mut word = [0; WORD];
                let rest = &self.reply[self.replied..];
                let here = rest.len().min(WORD);
                word[..here].copy_from_slice(&rest[..here]);
                self.replied += here;
                (SUCCESS, u32::from_le_bytes(word))
            }
            5 => {
                assert_eq!(self.replied, self.reply.len(), "the whole reply was read");
                (SUCCESS, 0)
            }
            6 => {
                self.open = false;
                (SUCCESS, 0)
            }
            other => panic!("there is no step {other}"),
        }
    }
}

impl Host for Model {
    fn call(&mut self, registers: Registers) -> Registers {
        assert_eq!(registers.eax, MAGIC);
        match (registers.ecx & 0xffff, registers.ecx >> 16) {
            (10, _) => Registers { eax: 6, ebx: MAGIC, ecx: 4, ..registers },
            (30, 0) => {
                assert_eq!(registers.ebx, 0xc943_5052);
                assert_eq!(registers.edx, PORT);
                if !self.opens {
                    return Registers { ecx: 0, ..registers };
                }
                assert!(!self.open, "one channel at a time");
                self.open = true;
                Registers { ecx: SUCCESS << 16, edx: PORT | ID << 16, esi: COOKIES.0, edi: COOKIES.1, ..registers }
            }
            (30, _) => {
                let (status, value) = self.answer(registers);
                Registers { ecx: status << 16, ebx: value, ..registers }
            }
            (other, _) => panic!("there is no command {other}"),
        }
    }
}

#[test]
fn a_message_of_any_length_comes_as_it_was_said_and_the_channel_is_closed() {
    for length in 0..=9 {
        let mut host = Model::new(b"1 ");
        let value = vec![b'x'; length];
        assert_eq!(tell(&mut host, &[b"info-set a ", &value]), Ok(()));
        assert_eq!(host.said, [[b"info-set a ".as_slice(), &value].concat()]);
        assert!(!host.open);
    }
}

#[test]
fn a_host_that_does_not_do_it_is_told_from_one_that_does() {
    for reply in [b"0 Unknown command".as_slice(), b"", b"0"] {
        let mut host = Model::new(reply);
        assert_eq!(tell(&mut host, &[b"info-set a b"]), Err(Refusal::NotDone));
        assert!(!host.open);
    }
    let mut long = Model::new(b"1 a reply of several words");
    assert_eq!(tell(&mut long, &[b"info-set a b"]), Ok(()));
}

#[test]
fn a_machine_that_is_moved_in_the_middle_says_it_again() {
    let mut host = Model::new(b"1 ");
    host.checkpoint_at = Some(2);
    assert_eq!(tell(&mut host, &[b"info-set a something longer"]), Ok(()));
    assert_eq!(host.said, [b"info-set a something longer"]);
}

#[test]
fn a_host_that_opens_no_channel_is_told() {
    let mut host = Model::new(b"1 ");
    host.opens = false;
    assert_eq!(tell(&mut host, &[b"info-set a b"]), Err(Refusal::NoChannel));
}

/// Ports of other machines: nothing there, or something that knows nothing of this.
struct Other(Option<u32>);

impl Host for Other {
    fn call(&mut self, registers: Registers) -> Registers {
        assert_eq!(registers.ecx, 10, "nothing but the version is asked");
        Registers { eax: self.0.unwrap_or(registers.eax), ..registers }
    }
}

#[test]
fn what_is_no_vmware_is_asked_for_its_version_and_nothing_else() {
    for eax in [None, Some(u32::MAX), Some(0)] {
        assert_eq!(tell(&mut Other(eax), &[b"info-set a b"]), Err(Refusal::NoHost));
    }
}
