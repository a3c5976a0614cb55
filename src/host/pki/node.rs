//! The identity of one agent: a key made on its machine, a request signed by the authority, and a
//! certificate that names the node.
//!
//! The id stands in the certificate as `tepui://<cluster>/node/<id>`, a URI among its alternative
//! names. It is drawn by the master; nothing a request asks for is taken over but its public key.

use rcgen::{
    CertificateParams, CertificateSigningRequestParams, KeyPair, PKCS_ECDSA_P256_SHA256,
    PublicKeyData as _, SanType, SerialNumber,
};
use rustls::pki_types::{CertificateDer, CertificateSigningRequestDer, PrivatePkcs8KeyDer};
use sha2::{Digest as _, Sha256};
use x509_parser::{extensions::GeneralName, prelude::FromDer as _};

use super::{Authority, BACKDATED, Identity, PkiError, Role, Subject};
use crate::{
    base::{clock::Timestamp, hex::hex, rng::Rng},
    model::{
        credential::{Digest, Serial},
        node::NodeId,
    },
};

/// Bytes of a serial number.
const SERIAL_BYTES: usize = 16;

/// A key of this machine that waits for its certificate.
pub struct Request {
    key: KeyPair,
}

/// A request as the master reads it: it is signed by the key it is for.
pub struct Asked {
    csr: CertificateSigningRequestParams,
}

/// Whom a certificate names.
pub struct Named<'a> {
    pub cluster: &'a str,
    pub node: &'a NodeId,
    pub serial: &'a Serial,
    /// For people who read certificates.
    pub host: &'a str,
}

/// What a certificate lets its node be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum As {
    Agent,
    PublicAgent,
    /// The master with this number.
    Master(u64),
}

impl As {
    fn roles(self) -> &'static [Role] {
        match self {
            Self::Agent => &[Role::Agent],
            Self::PublicAgent => &[Role::Agent, Role::PublicAgent],
            Self::Master(_) => &[Role::Master],
        }
    }
}

/// What an agent's certificate says. Read only after its signature was checked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Facts {
    pub cluster: String,
    pub node: NodeId,
    pub is: As,
    pub serial: Serial,
    /// Of the public key.
    pub key: Digest,
    pub issued_at: Timestamp,
    pub expires_at: Timestamp,
}

impl Request {
    /// A request with a new key.
    pub fn new() -> Result<Self, PkiError> {
        Ok(Self { key: KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)? })
    }

    /// A request with the key it was written down with.
    pub fn from_pem(text: &str) -> Result<Self, PkiError> {
        Ok(Self { key: KeyPair::from_pem(text)? })
    }

    /// The private key. It stays on this machine.
    pub fn to_pem(&self) -> String {
        self.key.serialize_pem()
    }

    /// What is sent to the master: the public key, signed by the private one.
    pub fn to_der(&self) -> Result<Vec<u8>, PkiError> {
        let params = CertificateParams::new(Vec::<String>::new())?;
        Ok(params.serialize_request(&self.key)?.der().to_vec())
    }

    /// The identity, once the certificate has come.
    ///
    /// # Errors
    /// When the certificate is not for this key or does not name a node.
    pub fn complete(self, certificate: Vec<u8>, authority: Vec<u8>) -> Result<Identity, PkiError> {
        let identity = Identity::new(
            CertificateDer::from(certificate),
            PrivatePkcs8KeyDer::from(self.key.serialize_der()),
            CertificateDer::from(authority),
        );
        if identity.facts()?.key != digest(self.key.der_bytes()) {
            return Err(PkiError::Content("it is for another key".to_owned()));
        }
        Ok(identity)
    }
}

impl Asked {
    /// Reads a request and checks that whoever sent it holds the key.
    ///
    /// # Errors
    /// When it is no such request, or for a kind of key nodes do not use.
    pub fn read(der: &[u8]) -> Result<Self, PkiError> {
        let csr =
            CertificateSigningRequestParams::from_der(&CertificateSigningRequestDer::from(der))?;
        if csr.public_key.algorithm() != &PKCS_ECDSA_P256_SHA256 {
            return Err(PkiError::Content("nodes use keys of the curve P-256".to_owned()));
        }
        Ok(Self { csr })
    }

    /// Of its public key.
    pub fn key(&self) -> Digest {
        digest(self.csr.public_key.der_bytes())
    }
}

impl Authority {
    /// A certificate for the key of `asked`.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn sign(
        &self,
        asked: &Asked,
        named: &Named<'_>,
        now: Timestamp,
    ) -> Result<Vec<u8>, PkiError> {
        self.sign_as(As::Agent, asked, named, now)
    }

    /// A certificate for the key of `asked` that lets its node be `is`.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn sign_as(
        &self,
        is: As,
        asked: &Asked,
        named: &Named<'_>,
        now: Timestamp,
    ) -> Result<Vec<u8>, PkiError> {
        let subject = Subject { node: named.host, roles: is.roles(), names: &[] };
        let mut params = self.params(&subject, now)?;
        let uri = format!("tepui://{}/node/{}", named.cluster, named.node);
        params.subject_alt_names.push(SanType::URI(uri.try_into()?));
        if let As::Master(id) = is {
            let uri = format!("tepui://{}/master/{id}", named.cluster);
            params.subject_alt_names.push(SanType::URI(uri.try_into()?));
        }
        params.serial_number = Some(SerialNumber::from(unhex(named.serial.as_str())?));
        Ok(params.signed_by(&asked.csr.public_key, &self.issuer)?.der().to_vec())
    }

    /// The authority's certificate, as nodes keep it.
    pub fn certificate_der(&self) -> &[u8] {
        &self.certificate
    }
}

impl Facts {
    /// Reads a certificate.
    ///
    /// # Errors
    /// When it is none or names no node.
    pub fn of(certificate: &[u8]) -> Result<Self, PkiError> {
        let bad = |text: &str| PkiError::Content(text.to_owned());
        let (_, parsed) = x509_parser::certificate::X509Certificate::from_der(certificate)
            .map_err(|error| PkiError::Content(error.to_string()))?;
        let names = parsed.subject_alternative_name().map_err(|_| bad("its names are broken"))?;
        let names = names.map(|n| n.value.general_names.as_slice()).unwrap_or_default();
        let (cluster, node) = names
            .iter()
            .find_map(|name| match name {
                GeneralName::URI(uri) => uri.strip_prefix("tepui://")?.split_once("/node/"),
                _ => None,
            })
            .ok_or_else(|| bad("it names no node"))?;
        let number = names.iter().find_map(|name| match name {
            GeneralName::URI(uri) => uri.rsplit_once("/master/")?.1.parse().ok(),
            _ => None,
        });
        let carries = |role: Role| {
            names.iter().any(|name| matches!(name, GeneralName::DNSName(n) if *n == role.name()))
        };
        let is = match number.filter(|_| carries(Role::Master)) {
            Some(number) => As::Master(number),
            None if carries(Role::PublicAgent) => As::PublicAgent,
            None => As::Agent,
        };
        let at = |time: x509_parser::time::ASN1Time| {
            Timestamp::from_ms(time.timestamp().saturating_mul(1_000))
        };
        Ok(Self {
            cluster: cluster.to_owned(),
            node: NodeId::from(node),
            is,
            serial: Serial::from(hex(parsed.raw_serial())),
            key: digest(&parsed.public_key().subject_public_key.data),
            issued_at: at(parsed.validity().not_before) + BACKDATED,
            expires_at: at(parsed.validity().not_after),
        })
    }
}

/// A new serial number. Its first bits are fixed, so that it has one written form.
pub fn draw_serial(rng: &mut Rng) -> Serial {
    let mut bytes = [0; SERIAL_BYTES];
    rng.fill(&mut bytes);
    bytes[0] = bytes[0] & 0x3f | 0x40;
    Serial::from(hex(&bytes))
}

fn digest(bytes: &[u8]) -> Digest {
    Sha256::digest(bytes).into()
}

fn unhex(text: &str) -> Result<Vec<u8>, PkiError> {
    let byte = |at: usize| text.get(at..at + 2).and_then(|two| u8::from_str_radix(two, 16).ok());
    let bytes: Option<Vec<u8>> = (0..text.len()).step_by(2).map(byte).collect();
    bytes.ok_or_else(|| PkiError::Content(format!("{text:?} is no serial number")))
}
