//! The records of TLS 1.3 behind the handshake (RFC 8446, 5 and 4.6.3), with the keys that rustls has agreed on. Its own record layer copies
//! what is sent twice and what arrives once more; here both are encrypted and decrypted from where they lie to where they belong.
//! Like `Tls` it knows no socket.
use super::tls::{Failure, Out, Tls, User, Writer};
use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, Algorithm, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use rustls::client::ClientConnectionData;
use rustls::kernel::KernelConnection;
use rustls::server::ServerConnectionData;
use rustls::{AlertDescription, ConnectionTrafficSecrets, Error};

pub const HEADER: usize = 5;
const TAG: usize = 16;
/// What a record holds besides its plaintext: the type of that, and a tag.
const EXTRA: usize = 1 + TAG;
/// Of the encrypted part, by the RFC.
const LONGEST: usize = 16 * 1024 + 256;
/// What is kept free for a message of our own between records of data.
pub const RESERVE: usize = HEADER + 5 + EXTRA;
/// Records by one key: an AES-GCM key is not to encrypt more than 2^24 of the largest (5.5).
const KEY_RECORDS: u64 = 1 << 24;

const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const DATA: u8 = 23;
const NEW_SESSION_TICKET: u8 = 4;
const KEY_UPDATE: u8 = 24;

/// The next keys of a connection.
pub trait Refresh: Send {
    fn next_sending(&mut self) -> Result<ConnectionTrafficSecrets, Error>;
    fn next_receiving(&mut self) -> Result<ConnectionTrafficSecrets, Error>;
    /// Whether we are the client, which may be given tickets.
    fn is_client(&self) -> bool;
}

macro_rules! refresh {
    ($data:ty, $client:literal) => {
        impl Refresh for KernelConnection<$data> {
            fn next_sending(&mut self) -> Result<ConnectionTrafficSecrets, Error> {
                self.update_tx_secret().map(|(_, secrets)| secrets)
            }
            fn next_receiving(&mut self) -> Result<ConnectionTrafficSecrets, Error> {
                self.update_rx_secret().map(|(_, secrets)| secrets)
            }
            fn is_client(&self) -> bool {
                $client
            }
        }
    };
}
refresh!(ClientConnectionData, true);
refresh!(ServerConnectionData, false);

/// One direction.
struct Half {
    key: LessSafeKey,
    iv: [u8; 12],
    sequence: u64,
}

impl Half {
    fn new(sequence: u64, secrets: &ConnectionTrafficSecrets) -> Result<Self, Failure> {
        let (algorithm, key, iv): (&'static Algorithm, _, _) = match secrets {
            ConnectionTrafficSecrets::Aes128Gcm { key, iv } => (&AES_128_GCM, key, iv),
            ConnectionTrafficSecrets::Aes256Gcm { key, iv } => (&AES_256_GCM, key, iv),
            ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv } => (&CHACHA20_POLY1305, key, iv),
            _ => return Err(Failure::Other("a cipher that is not known here")),
        };
        let unusable = Failure::Other("keys that cannot be used");
        let (Ok(key), Ok(iv)) = (UnboundKey::new(algorithm, key.as_ref()), iv.as_ref().try_into()) else { return Err(unusable) };
        Ok(Half { key: LessSafeKey::new(key), iv, sequence })
    }

    /// Each is used once.
    fn nonce(&mut self) -> Result<Nonce, Failure> {
        let mut nonce = self.iv;
        for (byte, of) in nonce[4..].iter_mut().zip(self.sequence.to_be_bytes()) {
            *byte ^= of;
        }
        self.sequence = self.sequence.checked_add(1).ok_or(Failure::Other("the keys of the connection are used up"))?;
        Ok(Nonce::assume_unique_for_key(nonce))
    }
}

/// A connection behind its handshake.
pub struct Records {
    sending: Half,
    receiving: Half,
    refresh: Box<dyn Refresh>,
    /// the peer wishes that we change our key, too
    owes_update: bool,
    key_records: u64,
}

/// What the peer is told, and why the connection ends.
type Refusal = (Option<AlertDescription>, Failure);

/// What a record was.
enum Read {
    Data,
    Closed,
}

fn header_of(kind: u8, length: usize) -> [u8; HEADER] {
    let [high, low] = (length as u16).to_be_bytes();
    [kind, 3, 3, high, low]
}

/// The content of a record without its type and what it was padded with.
fn unpadded(text: &[u8]) -> Option<(u8, &[u8])> {
    let at = text.iter().rposition(|&byte| byte != 0)?;
    Some((text[at], &text[..at]))
}

impl Records {
    pub fn new(tls: Tls) -> Result<Self, Failure> {
        let (secrets, refresh): (_, Box<dyn Refresh>) = match tls {
            Tls::Client(tls) => tls.dangerous_into_kernel_connection().map(|(secrets, kernel)| (secrets, Box::new(kernel) as _)),
            Tls::Server(tls) => tls.dangerous_into_kernel_connection().map(|(secrets, kernel)| (secrets, Box::new(kernel) as _)),
            Tls::Established(records) => return Ok(*records),
            Tls::Gone => return Err(Failure::Other("no connection")),
        }
        .map_err(Failure::Tls)?;
        Self::with((secrets.tx.0, &secrets.tx.1), (secrets.rx.0, &secrets.rx.1), refresh)
    }

    fn with(tx: (u64, &ConnectionTrafficSecrets), rx: (u64, &ConnectionTrafficSecrets), refresh: Box<dyn Refresh>) -> Result<Self, Failure> {
        Ok(Records { sending: Half::new(tx.0, tx.1)?, receiving: Half::new(rx.0, rx.1)?, refresh, owes_update: false, key_records: KEY_RECORDS })
    }

    /// As `Tls::pump`.
    pub fn pump(&mut self, incoming: &mut [u8], out: &mut Out, user: &mut impl User) -> (usize, Result<bool, Failure>) {
        let mut at = 0;
        while let Some((header, _)) = incoming[at..].split_first_chunk::<HEADER>() {
            let header = *header;
            let length = usize::from(u16::from_be_bytes([header[3], header[4]]));
            // nothing else is sent in the clear behind a handshake
            let judged = if header[..3] != [DATA, 3, 3] {
                Err((Some(AlertDescription::UnexpectedMessage), Failure::Other("a record that is not encrypted")))
            } else if length > LONGEST {
                Err((Some(AlertDescription::RecordOverflow), Failure::Tls(Error::PeerSentOversizedRecord)))
            } else if length < EXTRA {
                Err((Some(AlertDescription::BadRecordMac), Failure::Tls(Error::DecryptError)))
            } else {
                Ok(())
            };
            let whole = HEADER + length;
            let read = match judged {
                Ok(()) => {
                    let Some(record) = incoming[at..].get_mut(HEADER..whole) else { break };
                    self.read(&header, record, user)
                }
                Err(wrong) => Err(wrong),
            };
            match read {
                Ok(Read::Data) => at += whole,
                Ok(Read::Closed) => return (at + whole, Ok(true)),
                Err((alert, failure)) => {
                    if let Some(alert) = alert {
                        // whether the peer learns why is not as important as that it ends
                        let _ = self.seal(ALERT, &[2, u8::from(alert)], out);
                    }
                    return (at, Err(failure));
                }
            }
        }
        let written = self.update_when_due(out).and_then(|()| user.write(&mut Sealing { records: self, out }));
        (at, written.map(|()| false))
    }

    fn read(&mut self, header: &[u8; HEADER], record: &mut [u8], user: &mut impl User) -> Result<Read, Refusal> {
        let internal = |failure| (Some(AlertDescription::InternalError), failure);
        let forged = |_| (Some(AlertDescription::BadRecordMac), Failure::Tls(Error::DecryptError));
        let unexpected = |what| (Some(AlertDescription::UnexpectedMessage), Failure::Other(what));
        let nonce = self.receiving.nonce().map_err(internal)?;
        let aad = Aad::from(header);
        let length = record.len() - TAG;
        let (text, tag) = record.split_at_mut(length);
        if let Some(place) = user.place(length) {
            self.receiving.key.open_separate_gather(nonce, aad, text, tag, place).map_err(forged)?;
            let (kind, content) = unpadded(place).ok_or_else(|| unexpected("a record of nothing"))?;
            if kind == DATA {
                let count = content.len();
                return user.placed(count).map(|()| Read::Data).map_err(internal);
            }
            let content = content.to_vec();
            return self.control(kind, &content);
        }
        let text: &[u8] = self.receiving.key.open_in_place(nonce, aad, record).map_err(forged)?;
        match unpadded(text).ok_or_else(|| unexpected("a record of nothing"))? {
            (DATA, content) => user.plaintext(content).map(|()| Read::Data).map_err(internal),
            (kind, content) => self.control(kind, content),
        }
    }

    fn control(&mut self, kind: u8, content: &[u8]) -> Result<Read, Refusal> {
        let unexpected = |what| Err((Some(AlertDescription::UnexpectedMessage), Failure::Other(what)));
        match (kind, content) {
            (ALERT, &[_, alert]) => match AlertDescription::from(alert) {
                AlertDescription::CloseNotify => Ok(Read::Closed),
                AlertDescription::UserCanceled => Ok(Read::Data),
                alert => Err((None, Failure::Tls(Error::AlertReceived(alert)))),
            },
            // it must end its record: what follows is encrypted by the new key
            (HANDSHAKE, &[KEY_UPDATE, 0, 0, 1, asked @ (0 | 1)]) => {
                let secrets = self.refresh.next_receiving().map_err(|error| (Some(AlertDescription::InternalError), Failure::Tls(error)))?;
                self.receiving = Half::new(0, &secrets).map_err(|failure| (Some(AlertDescription::InternalError), failure))?;
                self.owes_update |= asked == 1;
                Ok(Read::Data)
            }
            // nobody is resumed here
            (HANDSHAKE, &[NEW_SESSION_TICKET, ..]) if self.refresh.is_client() && are_tickets(content) => Ok(Read::Data),
            (HANDSHAKE, _) => unexpected("a message of the handshake behind its end"),
            _ => unexpected("a record of no known type"),
        }
    }

    /// One record; the room was looked for.
    fn seal(&mut self, kind: u8, text: &[u8], out: &mut Out) -> Result<(), Failure> {
        let length = text.len() + EXTRA;
        let room = out.rest().get_mut(..HEADER + length).ok_or(Failure::Other("no room for a record"))?;
        let header = header_of(DATA, length);
        let (head, sealed) = room.split_at_mut(HEADER);
        head.copy_from_slice(&header);
        let (sealed, end) = sealed.split_at_mut(text.len());
        let nonce = self.sending.nonce()?;
        self.sending.key.seal_out_of_place_scatter(nonce, Aad::from(header), text, sealed, &[kind], end).map_err(|_| Failure::Tls(Error::EncryptError))?;
        out.wrote(HEADER + length);
        Ok(())
    }

    /// Changes our key when the peer has asked for it, or when it has encrypted enough.
    fn update_when_due(&mut self, out: &mut Out) -> Result<(), Failure> {
        if !self.owes_update && self.sending.sequence < self.key_records || out.room() < RESERVE {
            return Ok(());
        }
        self.seal(HANDSHAKE, &[KEY_UPDATE, 0, 0, 1, 0], out)?;
        self.sending = Half::new(0, &self.refresh.next_sending().map_err(Failure::Tls)?)?;
        self.owes_update = false;
        Ok(())
    }
}

/// Whether it is nothing but whole tickets.
fn are_tickets(mut content: &[u8]) -> bool {
    while let [NEW_SESSION_TICKET, high, middle, low, rest @ ..] = content {
        let length = u32::from_be_bytes([0, *high, *middle, *low]) as usize;
        let Some(rest) = rest.get(length..) else { return false };
        content = rest;
    }
    content.is_empty()
}

struct Sealing<'a> {
    records: &'a mut Records,
    out: &'a mut Out,
}

impl Writer for Sealing<'_> {
    fn room(&self) -> usize {
        self.out.room().saturating_sub(RESERVE)
    }
    fn waiting(&self) -> usize {
        self.out.pending().len()
    }
    fn record(&mut self, plaintext: &[u8]) -> Result<(), Failure> {
        self.records.update_when_due(self.out)?;
        self.records.seal(DATA, plaintext, self.out)
    }
    fn close_notify(&mut self) -> Result<(), Failure> {
        self.records.seal(ALERT, &[1, 0], self.out)
    }
}

#[cfg(test)]
#[path = "records_tests.rs"]
mod tests;
