//! Who we are and whom we believe, as rustls wants it: TLS 1.3 only, nobody but the appliance's authority, no tickets.
use super::shared::Peer;
use super::tls::Tls;
use napi_derive::napi;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, UnbufferedClientConnection, verify_server_cert_signed_by_trust_anchor};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{NoServerSessionStorage, ParsedCertificate, UnbufferedServerConnection, WebPkiClientVerifier};
use rustls::{ClientConfig, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, ServerConfig, SignatureScheme};
use std::sync::Arc;

/// The name is free (an appliance behind NAT is dialled under names that it does not know); what counts is a server's certificate of our
/// authority: an agent's does not pass.
#[derive(Debug)]
struct AnyServerOfOurs {
    roots: RootCertStore,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for AnyServerOfOurs {
    fn verify_server_cert(&self, leaf: &CertificateDer<'_>, chain: &[CertificateDer<'_>], _: &ServerName<'_>, _: &[u8], now: UnixTime) -> Result<ServerCertVerified, Error> {
        let leaf = ParsedCertificate::try_from(leaf)?;
        verify_server_cert_signed_by_trust_anchor(&leaf, &self.roots, chain, now, self.algorithms.all)?;
        Ok(ServerCertVerified::assertion())
    }
    fn verify_tls12_signature(&self, _: &[u8], _: &CertificateDer<'_>, _: &DigitallySignedStruct) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.2 is not spoken here".to_owned()))
    }
    fn verify_tls13_signature(&self, message: &[u8], leaf: &CertificateDer<'_>, signature: &DigitallySignedStruct) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, leaf, signature, &self.algorithms)
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Lets everybody through the handshake who owns the certificate that they show, or shows none, so that strangers can be told why they are
/// refused. Whether to believe them is decided behind it, by `distrust`.
#[derive(Debug)]
struct Everybody(Arc<dyn ClientCertVerifier>);

impl ClientCertVerifier for Everybody {
    fn client_auth_mandatory(&self) -> bool {
        false
    }
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }
    fn verify_client_cert(&self, _: &CertificateDer<'_>, _: &[CertificateDer<'_>], _: UnixTime) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }
    fn verify_tls12_signature(&self, _: &[u8], _: &CertificateDer<'_>, _: &DigitallySignedStruct) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.2 is not spoken here".to_owned()))
    }
    fn verify_tls13_signature(&self, message: &[u8], leaf: &CertificateDer<'_>, signature: &DigitallySignedStruct) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, leaf, signature)
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

/// Key, certificate and authority of one side.
#[napi]
pub struct LinkIdentity {
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
    agents: Arc<dyn ClientCertVerifier>,
}

#[napi]
impl LinkIdentity {
    /// PEM texts. What cannot be used is an error that says which, and nothing of what is in it.
    #[napi(factory)]
    pub fn open(key_pem: String, certificate_pem: String, authority_pem: String) -> napi::Result<Self> {
        let unusable = |what: &str| napi::Error::from_reason(format!("{what} cannot be used"));
        let chain = |pem: &str| CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<Vec<_>, _>>();
        let certificates = chain(&certificate_pem).map_err(|_| unusable("the certificate"))?;
        let key = || PrivateKeyDer::from_pem_slice(key_pem.as_bytes()).map_err(|_| unusable("the private key"));
        let mut roots = RootCertStore::empty();
        for authority in chain(&authority_pem).map_err(|_| unusable("the authority's certificate"))? {
            roots.add(authority).map_err(|_| unusable("the authority's certificate"))?;
        }
        let provider = Arc::new(provider());
        let algorithms = provider.signature_verification_algorithms;
        let agents = WebPkiClientVerifier::builder_with_provider(Arc::new(roots.clone()), Arc::clone(&provider))
            .build()
            .map_err(|_| unusable("the authority's certificate"))?;
        let mut server = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|_| unusable("TLS 1.3"))?
            .with_client_cert_verifier(Arc::new(Everybody(Arc::clone(&agents))))
            .with_single_cert(certificates.clone(), key()?)
            .map_err(|_| unusable("the private key with this certificate"))?;
        // an agent connects seldom and stays
        server.send_tls13_tickets = 0;
        server.session_storage = Arc::new(NoServerSessionStorage {});
        server.ignore_client_order = true;
        // for records.rs
        server.enable_secret_extraction = true;
        let mut client = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|_| unusable("TLS 1.3"))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyServerOfOurs { roots, algorithms }))
            .with_client_auth_cert(certificates, key()?)
            .map_err(|_| unusable("the private key with this certificate"))?;
        client.resumption = Resumption::disabled();
        client.enable_sni = false;
        client.enable_secret_extraction = true;
        Ok(LinkIdentity { server: Arc::new(server), client: Arc::new(client), agents })
    }
}

impl LinkIdentity {
    pub fn begin(&self, is_server: bool) -> napi::Result<(Tls, Judge)> {
        let failed = |error: Error| napi::Error::from_reason(error.to_string());
        if is_server {
            let tls = Tls::Server(UnbufferedServerConnection::new(Arc::clone(&self.server)).map_err(failed)?);
            return Ok((tls, Judge(Some(Arc::clone(&self.agents)))));
        }
        // no name is sent, and none is looked at
        let name = ServerName::try_from("appliance.invalid").map_err(|error| napi::Error::from_reason(error.to_string()))?;
        Ok((Tls::Client(UnbufferedClientConnection::new(Arc::clone(&self.client), name).map_err(failed)?), Judge(None)))
    }
}

/// What a server thinks of the certificate that a client has shown. A client has judged its server in the handshake.
pub struct Judge(Option<Arc<dyn ClientCertVerifier>>);

impl Judge {
    pub fn peer(&self, chain: Option<&[CertificateDer<'static>]>) -> Peer {
        let certificate = chain.and_then(|chain| chain.first()).map(|leaf| leaf.to_vec()).unwrap_or_default();
        let distrust = match (&self.0, chain) {
            (None, _) => String::new(),
            (Some(agents), Some([leaf, rest @ ..])) => agents.verify_client_cert(leaf, rest, UnixTime::now()).err().map(|error| error.to_string()).unwrap_or_default(),
            (Some(_), _) => "it has no certificate".to_owned(),
        };
        Peer { distrust, certificate }
    }
}

/// AES-128 first: strong enough, and cheaper for both ends than AES-256. ChaCha is for processors without AES.
fn provider() -> CryptoProvider {
    use aws_lc_rs::cipher_suite::{TLS13_AES_128_GCM_SHA256, TLS13_AES_256_GCM_SHA384, TLS13_CHACHA20_POLY1305_SHA256};
    CryptoProvider { cipher_suites: vec![TLS13_AES_128_GCM_SHA256, TLS13_AES_256_GCM_SHA384, TLS13_CHACHA20_POLY1305_SHA256], ..aws_lc_rs::default_provider() }
}
