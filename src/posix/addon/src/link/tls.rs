//! TLS of either side, driven over plain buffers: the handshake by rustls, the rest by records.rs. It knows no socket.
use super::records::Records;
use rustls::client::UnbufferedClientConnection;
use rustls::pki_types::CertificateDer;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{ConnectionState, EncodeError, EncryptError, UnbufferedStatus, WriteTraffic};
use rustls::{AlertDescription, Error};

/// Bytes of TLS on their way to the socket.
pub struct Out {
    bytes: Box<[u8]>,
    from: usize,
    to: usize,
}

impl Out {
    pub fn new(capacity: usize) -> Self {
        Out { bytes: vec![0; capacity].into(), from: 0, to: 0 }
    }
    pub fn is_empty(&self) -> bool {
        self.from == self.to
    }
    pub fn pending(&self) -> &[u8] {
        &self.bytes[self.from..self.to]
    }
    pub fn sent(&mut self, count: usize) {
        self.from += count;
        if self.is_empty() {
            (self.from, self.to) = (0, 0);
        }
    }
    pub fn room(&self) -> usize {
        self.bytes.len() - self.to
    }
    pub fn rest(&mut self) -> &mut [u8] {
        &mut self.bytes[self.to..]
    }
    /// So many bytes were written to the front of `rest`.
    pub fn wrote(&mut self, count: usize) {
        self.to += count;
    }
}

/// Why a link ends.
#[derive(Debug)]
pub enum Failure {
    Tls(Error),
    Frame(crate::frame::Invalid),
    Other(&'static str),
}

impl Failure {
    /// Whether it is about a certificate, the peer's or ours.
    pub fn is_distrust(&self) -> bool {
        use AlertDescription as A;
        match self {
            Failure::Tls(Error::InvalidCertificate(_) | Error::NoCertificatesPresented) => true,
            Failure::Tls(Error::AlertReceived(alert)) => matches!(
                alert,
                A::UnknownCA | A::BadCertificate | A::UnsupportedCertificate | A::CertificateRevoked | A::CertificateExpired | A::CertificateUnknown | A::CertificateRequired | A::AccessDenied
            ),
            _ => false,
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Failure::Tls(error) => error.fmt(to),
            Failure::Frame(invalid) => invalid.fmt(to),
            Failure::Other(what) => to.write_str(what),
        }
    }
}

/// Who uses TLS: takes plaintext, and gives some when it may be sent.
pub trait User {
    fn plaintext(&mut self, bytes: &[u8]) -> Result<(), Failure>;
    /// Memory of `length` bytes for plaintext, whose last one is scratch; None where it would have to be taken apart. Whatever is written to it counts
    /// for nothing until `placed`.
    fn place(&mut self, length: usize) -> Option<&mut [u8]>;
    /// So many bytes of plaintext were written to the last `place`.
    fn placed(&mut self, count: usize) -> Result<(), Failure>;
    /// Writes what there is to send as far as there is room. Called when the handshake is through.
    fn write(&mut self, to: &mut dyn Writer) -> Result<(), Failure>;
}

pub trait Writer {
    /// Bytes of `Out` that are free.
    fn room(&self) -> usize;
    /// Bytes in `Out` that were not sent yet.
    fn waiting(&self) -> usize;
    /// One record.
    fn record(&mut self, plaintext: &[u8]) -> Result<(), Failure>;
    /// The end of what we send.
    fn close_notify(&mut self) -> Result<(), Failure>;
}

struct Encrypting<'a, 'c, D> {
    traffic: WriteTraffic<'c, D>,
    out: &'a mut Out,
}

impl<D> Writer for Encrypting<'_, '_, D> {
    fn room(&self) -> usize {
        self.out.room()
    }
    fn waiting(&self) -> usize {
        self.out.pending().len()
    }
    fn record(&mut self, plaintext: &[u8]) -> Result<(), Failure> {
        self.out.to += self.traffic.encrypt(plaintext, self.out.rest()).map_err(encrypting)?;
        Ok(())
    }
    fn close_notify(&mut self) -> Result<(), Failure> {
        self.out.to += self.traffic.queue_close_notify(self.out.rest()).map_err(encrypting)?;
        Ok(())
    }
}

fn encrypting(error: EncryptError) -> Failure {
    Failure::Other(match error {
        EncryptError::InsufficientSize(_) => "no room for a record",
        _ => "the keys of the connection are used up",
    })
}

pub enum Tls {
    Client(UnbufferedClientConnection),
    Server(UnbufferedServerConnection),
    /// The handshake is through.
    Established(Box<Records>),
    Gone,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Again,
    NeedsMore,
    PeerClosed,
}

impl Tls {
    pub fn is_handshaking(&self) -> bool {
        match self {
            Tls::Client(tls) => tls.is_handshaking(),
            Tls::Server(tls) => tls.is_handshaking(),
            Tls::Established(_) | Tls::Gone => false,
        }
    }

    /// To be called once, when the handshake is through, before anything is written.
    pub fn establish(&mut self) -> Result<(), Failure> {
        let records = Records::new(std::mem::replace(self, Tls::Gone))?;
        *self = Tls::Established(Box::new(records));
        Ok(())
    }

    pub fn peer_certificates(&self) -> Option<&[CertificateDer<'static>]> {
        match self {
            Tls::Client(tls) => tls.peer_certificates(),
            Tls::Server(tls) => tls.peer_certificates(),
            Tls::Established(_) | Tls::Gone => None,
        }
    }

    /// Takes whole records from the front of `incoming` and has `user` write. Gives how many bytes it took, and whether the peer has
    /// said that it sends nothing more. After a failure `out` may hold an alert for the peer.
    pub fn pump(&mut self, incoming: &mut [u8], out: &mut Out, user: &mut impl User) -> (usize, Result<bool, Failure>) {
        let mut at = 0;
        loop {
            let incoming = &mut incoming[at..];
            let (discard, step) = match self {
                Tls::Client(tls) => advance(tls.process_tls_records(incoming), out, user),
                Tls::Server(tls) => advance(tls.process_tls_records(incoming), out, user),
                Tls::Established(records) => {
                    let (count, pumped) = records.pump(incoming, out, user);
                    return (at + count, pumped);
                }
                Tls::Gone => return (at, Err(Failure::Other("no connection"))),
            };
            at += discard;
            match step {
                Ok(Step::Again) => {}
                Ok(Step::NeedsMore) => return (at, Ok(false)),
                Ok(Step::PeerClosed) => return (at, Ok(true)),
                Err(failure) => return (at, Err(failure)),
            }
        }
    }

    /// What TLS itself still has to say after a failure in its handshake: an alert.
    pub fn last_words(&mut self, incoming: &mut [u8], out: &mut Out) {
        if let Tls::Established(_) | Tls::Gone = self {
            return;
        }
        struct Nobody;
        impl User for Nobody {
            fn plaintext(&mut self, _: &[u8]) -> Result<(), Failure> {
                Ok(())
            }
            fn place(&mut self, _: usize) -> Option<&mut [u8]> {
                None
            }
            fn placed(&mut self, _: usize) -> Result<(), Failure> {
                Ok(())
            }
            fn write(&mut self, _: &mut dyn Writer) -> Result<(), Failure> {
                Ok(())
            }
        }
        let _ = self.pump(incoming, out, &mut Nobody);
    }
}

fn advance<D>(UnbufferedStatus { discard, state }: UnbufferedStatus<'_, '_, D>, out: &mut Out, user: &mut impl User) -> (usize, Result<Step, Failure>) {
    let step = match state {
        Err(error) => Err(Failure::Tls(error)),
        Ok(ConnectionState::ReadTraffic(mut traffic)) => loop {
            match traffic.next_record() {
                None => break Ok(Step::Again),
                Some(Err(error)) => break Err(Failure::Tls(error)),
                Some(Ok(record)) => {
                    if let Err(failure) = user.plaintext(record.payload) {
                        break Err(failure);
                    }
                }
            }
        },
        Ok(ConnectionState::EncodeTlsData(mut data)) => match data.encode(out.rest()) {
            Ok(count) => {
                out.to += count;
                Ok(Step::Again)
            }
            Err(EncodeError::InsufficientSize(_) | EncodeError::AlreadyEncoded) => Err(Failure::Other("no room for the handshake")),
        },
        // it is in `out`, which goes to the socket in order
        Ok(ConnectionState::TransmitTlsData(data)) => {
            data.done();
            Ok(Step::Again)
        }
        Ok(ConnectionState::BlockedHandshake) => Ok(Step::NeedsMore),
        Ok(ConnectionState::WriteTraffic(traffic)) => user.write(&mut Encrypting { traffic, out }).map(|()| Step::NeedsMore),
        Ok(ConnectionState::PeerClosed | ConnectionState::Closed) => Ok(Step::PeerClosed),
        Ok(_) => Err(Failure::Other("early data")),
    };
    (discard, step)
}
