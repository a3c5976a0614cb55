//! The cluster's own certificates: an authority made at the first start, an identity per node, and
//! TLS configurations in which both sides prove theirs.
//!
//! What a node may do follows from the names in its certificate: `master.tepui.internal` and
//! `agent.tepui.internal`; a public agent carries `public-agent.tepui.internal` beside the latter. A server lists the roles it lets in; a client names the role it wants to
//! reach. Which agent it is follows from the certificate too (`node`). Nothing outside the cluster's
//! authority is trusted, and nothing older than TLS 1.3. A private key never leaves the node it was
//! made on; keys are kept in files only their owner can read.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime},
    server::WebPkiClientVerifier,
    time_provider::{DefaultTimeProvider, TimeProvider},
};
use sha2::{Digest as _, Sha256};

use crate::{
    base::{
        clock::{Clock, Timestamp},
        hex::hex,
    },
    model::master::Envelope,
};

mod files;
pub mod join;
pub mod node;
pub mod seal;
#[cfg(test)]
mod tests;
mod verify;
pub mod web;

use files::{pem, read_pem, write_private};
use verify::RoleVerifier;

const DAY: Duration = Duration::from_secs(86_400);
/// Life of the authority; it is replaced by making a new one and issuing everything anew.
const AUTHORITY_LIFE: Duration = DAY.saturating_mul(3_650);
/// Life of a certificate. Agents renew theirs by themselves, masters issue their own anew, both
/// when a third is left: short enough that a lost key ends, long enough for a node that was away
/// for a month.
pub const IDENTITY_LIFE: Duration = DAY.saturating_mul(90);
/// Certificates are valid from this long before they were made: clocks of new machines are off.
const BACKDATED: Duration = DAY;
/// Key and certificate of this node.
pub const NODE_FILE: &str = "node.pem";
/// The pair that this node had before the one in `NODE_FILE`.
const BEFORE_FILE: &str = "node.before.pem";
/// Key of the cluster's authority, on masters only.
pub const KEY_FILE: &str = "ca.key";

/// What a node is in the cluster.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    Master,
    Agent,
    /// Beside `Agent`.
    PublicAgent,
}

impl Role {
    /// The name that certificates of this role carry.
    pub fn name(self) -> &'static str {
        match self {
            Self::Master => "master.tepui.internal",
            Self::Agent => "agent.tepui.internal",
            Self::PublicAgent => "public-agent.tepui.internal",
        }
    }

    /// The name as TLS clients give it.
    pub fn server_name(self) -> ServerName<'static> {
        ServerName::try_from(self.name()).expect("role names are DNS names")
    }
}

/// Why certificates cannot be made or used.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    #[error("cannot make a certificate")]
    Make(#[from] rcgen::Error),
    #[error("cannot use a certificate")]
    Use(#[from] rustls::Error),
    #[error("cannot set up the verification of peers")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
    #[error("this certificate or request cannot be used: {0}")]
    Content(String),
    #[error("{path} holds no certificate or key")]
    Parse {
        path: PathBuf,
        #[source]
        source: rustls::pki_types::pem::Error,
    },
    #[error("{path} cannot be read or written")]
    File {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// SHA-256 of a certificate in lower-case hex, as people compare it.
pub fn fingerprint(certificate: &CertificateDer<'_>) -> String {
    hex(&Sha256::digest(certificate))
}

/// A certificate as a file.
pub fn certificate_pem(certificate: &CertificateDer<'_>) -> String {
    pem("CERTIFICATE", certificate)
}

/// The cluster's certificate authority.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    /// Life of what it issues.
    life: Duration,
}

/// Who a certificate is for.
pub struct Subject<'a> {
    /// The node's id, for people who read certificates.
    pub node: &'a str,
    pub roles: &'a [Role],
    /// Further DNS names and IP addresses under which clients reach the node.
    pub names: &'a [String],
}

/// A node's certificate with its key, and the authority it trusts.
pub struct Identity {
    certificate: CertificateDer<'static>,
    key: PrivatePkcs8KeyDer<'static>,
    authority: CertificateDer<'static>,
    /// By which others' certificates are good.
    time: Arc<dyn TimeProvider>,
}

impl Authority {
    /// A new authority.
    pub fn create(cluster: &str, now: Timestamp) -> Result<Self, PkiError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, "tepui");
        params.distinguished_name.push(DnType::CommonName, format!("{cluster} authority"));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        set_validity(&mut params, now, AUTHORITY_LIFE);
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?.der().clone();
        Ok(Self { issuer: Issuer::new(params, key), certificate, life: IDENTITY_LIFE })
    }

    /// The authority kept in `dir`, if its key is there.
    pub fn load(dir: &Path) -> Result<Option<Self>, PkiError> {
        let key_path = dir.join(KEY_FILE);
        if !key_path.exists() {
            return Ok(None);
        }
        let certificate: CertificateDer<'static> = read_pem(&dir.join("ca.crt"))?;
        let key: PrivatePkcs8KeyDer<'static> = read_pem(&key_path)?;
        Self::of(certificate, key.secret_pkcs8_der()).map(Some)
    }

    fn of(certificate: CertificateDer<'static>, key: &[u8]) -> Result<Self, PkiError> {
        let key = KeyPair::try_from(key)?;
        let issuer = Issuer::from_ca_cert_der(&certificate, key)?;
        Ok(Self { issuer, certificate, life: IDENTITY_LIFE })
    }

    /// The authority whose certificate a master keeps in `dir` already, with the key it was given.
    ///
    /// # Errors
    /// When the key is not that of the certificate.
    pub fn receive(dir: &Path, key: &[u8]) -> Result<Self, PkiError> {
        let made = Self::of(read_pem(&dir.join("ca.crt"))?, key)?;
        made.check_key()?;
        write_private(&dir.join(KEY_FILE), &made.issuer.key().serialize_pem())?;
        Ok(made)
    }

    /// Its certificate and its key (PKCS #8), to be kept where nobody else reads them.
    pub fn secrets(&self) -> (Vec<u8>, Vec<u8>) {
        (self.certificate.to_vec(), self.issuer.key().serialize_der())
    }

    /// The authority that `secrets` told of, not kept anywhere.
    ///
    /// # Errors
    /// When the key is not that of the certificate.
    pub fn of_secrets(certificate: &[u8], key: &[u8]) -> Result<Self, PkiError> {
        let made = Self::of(CertificateDer::from(certificate.to_vec()), key)?;
        made.check_key()?;
        Ok(made)
    }

    /// Keeps it in `dir`, with its key.
    ///
    /// # Errors
    /// When the files cannot be written.
    pub fn save(&self, dir: &Path) -> Result<(), PkiError> {
        write_private(&dir.join("ca.crt"), &certificate_pem(&self.certificate))?;
        // The key last: with it in place the pair is complete.
        write_private(&dir.join(KEY_FILE), &self.issuer.key().serialize_pem())
    }

    /// Whether the key is the one that the certificate is for.
    fn check_key(&self) -> Result<(), PkiError> {
        let (_, parsed) = x509_parser::parse_x509_certificate(&self.certificate)
            .map_err(|error| PkiError::Content(error.to_string()))?;
        let public: &[u8] = &parsed.subject_pki.subject_public_key.data;
        match public == rcgen::PublicKeyData::der_bytes(self.issuer.key()) {
            true => Ok(()),
            false => Err(PkiError::Content("the key is not the authority's".to_owned())),
        }
    }

    /// Its key, for the master with this public key alone to open.
    ///
    /// # Errors
    /// When that is no such key.
    pub fn seal_for(&self, master: &[u8]) -> Result<Envelope, PkiError> {
        seal::seal(&self.issuer.key().serialize_der(), &self.certificate, master)
    }

    /// The authority kept in `dir`, made there at the first call.
    pub fn load_or_create(dir: &Path, cluster: &str, now: Timestamp) -> Result<Self, PkiError> {
        if let Some(kept) = Self::load(dir)? {
            return Ok(kept);
        }
        let made = Self::create(cluster, now)?;
        made.save(dir)?;
        Ok(made)
    }

    /// Has everything issued from now on live for `life`.
    #[must_use]
    pub fn with_life(self, life: Duration) -> Self {
        Self { life, ..self }
    }

    /// How long what it issues lives.
    pub fn life(&self) -> Duration {
        self.life
    }

    /// SHA-256 of the certificate in lower-case hex. Join tokens carry it, so that a new node knows
    /// the cluster it talks to.
    pub fn fingerprint(&self) -> String {
        fingerprint(&self.certificate)
    }

    /// The authority's certificate, for clients that want to verify the cluster.
    pub fn certificate_pem(&self) -> String {
        certificate_pem(&self.certificate)
    }

    /// A new key and certificate, for this machine.
    pub fn issue(&self, subject: &Subject<'_>, now: Timestamp) -> Result<Identity, PkiError> {
        let params = self.params(subject, now)?;
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?.der().clone();
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        Ok(Identity::new(certificate, key, self.certificate.clone()))
    }

    /// What a certificate for `subject` says.
    fn params(&self, subject: &Subject<'_>, now: Timestamp) -> Result<CertificateParams, PkiError> {
        let roles = subject.roles.iter().map(|role| role.name().to_owned());
        let names: Vec<String> = roles.chain(subject.names.iter().cloned()).collect();
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, "tepui");
        params.distinguished_name.push(DnType::CommonName, subject.node);
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        set_validity(&mut params, now, self.life);
        Ok(params)
    }
}

impl Identity {
    fn new(
        certificate: CertificateDer<'static>,
        key: PrivatePkcs8KeyDer<'static>,
        authority: CertificateDer<'static>,
    ) -> Self {
        Self { certificate, key, authority, time: Arc::new(DefaultTimeProvider) }
    }

    /// Has it judge others' certificates by this clock, the one its own are renewed by.
    #[must_use]
    pub fn by_clock(self, clock: &Arc<dyn Clock>) -> Self {
        Self { time: Arc::new(ByClock(clock.clone())), ..self }
    }

    /// Reads the identity kept in `dir`.
    pub fn load(dir: &Path) -> Result<Self, PkiError> {
        Self::read(dir, NODE_FILE)
    }

    /// Reads the one before, if it was kept in `dir`.
    ///
    /// # Errors
    /// When it is there and of no use.
    pub fn load_before(dir: &Path) -> Result<Option<Self>, PkiError> {
        match dir.join(BEFORE_FILE).exists() {
            true => Self::read(dir, BEFORE_FILE).map(Some),
            false => Ok(None),
        }
    }

    fn read(dir: &Path, file: &str) -> Result<Self, PkiError> {
        let node = dir.join(file);
        Ok(Self::new(read_pem(&node)?, read_pem(&node)?, read_pem(&dir.join("ca.crt"))?))
    }

    /// Keeps the identity in `dir`. Key and certificate are one file: a crash leaves the old pair
    /// or the new one, never half of each.
    pub fn save(&self, dir: &Path) -> Result<(), PkiError> {
        write_private(&dir.join("ca.crt"), &pem("CERTIFICATE", &self.authority))?;
        write_private(&dir.join(NODE_FILE), &self.pair())
    }

    /// Keeps the identity in `dir` as the one before.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn save_before(&self, dir: &Path) -> Result<(), PkiError> {
        write_private(&dir.join(BEFORE_FILE), &self.pair())
    }

    fn pair(&self) -> String {
        let certificate = pem("CERTIFICATE", &self.certificate);
        certificate + &pem("PRIVATE KEY", self.key.secret_pkcs8_der())
    }

    /// The authority it trusts.
    pub fn authority_der(&self) -> &[u8] {
        &self.authority
    }

    /// What its certificate says.
    pub fn facts(&self) -> Result<node::Facts, PkiError> {
        node::Facts::of(&self.certificate)
    }

    /// For servers that let in nodes of `roles` only, each proving itself.
    pub fn server_config(&self, roles: &[Role]) -> Result<Arc<ServerConfig>, PkiError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let roots = Arc::new(self.roots()?);
        let known = WebPkiClientVerifier::builder_with_provider(roots, provider.clone()).build()?;
        let names = roles.iter().map(|role| role.server_name()).collect();
        let verifier = Arc::new(RoleVerifier { known, names });
        let config = ServerConfig::builder_with_details(provider, self.time.clone())
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![self.certificate.clone()], self.key())?;
        Ok(Arc::new(config))
    }

    /// For clients that prove themselves; which role they reach they say with
    /// [`Role::server_name`].
    pub fn client_config(&self) -> Result<Arc<ClientConfig>, PkiError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_details(provider, self.time.clone())
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_root_certificates(self.roots()?)
            .with_client_auth_cert(vec![self.certificate.clone()], self.key())?;
        Ok(Arc::new(config))
    }

    fn roots(&self) -> Result<RootCertStore, PkiError> {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.clone())?;
        Ok(roots)
    }

    fn key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(self.key.clone_key())
    }
}

/// A clock of ours as the TLS library asks for the time.
struct ByClock(Arc<dyn Clock>);

impl fmt::Debug for ByClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ByClock")
    }
}

impl TimeProvider for ByClock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(self.0.now().since(Timestamp::EPOCH)))
    }
}

fn set_validity(params: &mut CertificateParams, now: Timestamp, life: Duration) {
    let date = |at: Timestamp| rcgen::date_time_ymd(1970, 1, 1) + at.since(Timestamp::EPOCH);
    params.not_before = date(now - BACKDATED);
    params.not_after = date(now + life);
}
