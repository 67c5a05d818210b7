//! Encryption for load: it is done, and nobody's certificate is looked at.
//!
//! A load generator sends test mail to a server of its own user, mostly one with a certificate that it has made itself.
//! What is to be measured is what the encryption costs.

use std::io;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};

pub use rustls::ClientConnection as Connection;

/// What all connections of a run have in common.
#[derive(Debug, Clone)]
pub struct Config {
    client: Arc<ClientConfig>,
    server: ServerName<'static>,
}

impl Config {
    /// For connections to `server`, a name or an address.
    ///
    /// # Errors
    ///
    /// When that is neither.
    pub fn new(server: &str) -> io::Result<Self> {
        let provider = Arc::new(ring::default_provider());
        let versions =
            ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
        let mut client = versions
            .map_err(io::Error::other)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anybody(provider)))
            .with_no_client_auth();
        // Each session is to cost what that of a client costs that has not been here before.
        client.resumption = rustls::client::Resumption::disabled();
        let server = ServerName::try_from(server.to_owned()).map_err(io::Error::other)?;
        Ok(Self { client: Arc::new(client), server })
    }

    pub(super) fn connection(&self) -> io::Result<Connection> {
        Connection::new(Arc::clone(&self.client), self.server.clone()).map_err(io::Error::other)
    }
}

/// Takes every certificate; that the server has its key is looked at.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
