//! The cluster's own certificates: an authority made at the first start, an identity per node, and
//! TLS configurations in which both sides prove theirs.
//!
//! What a node may do follows from the names in its certificate: `master.tepui.internal` and
//! `agent.tepui.internal`. A server lists the roles it lets in; a client names the role it wants to
//! reach. Nothing outside the cluster's authority is trusted, and nothing older than TLS 1.3.
//! Private keys are kept in files only their owner can read.

use std::{
    fs, io,
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, RootCertStore,
    ServerConfig, SignatureScheme,
    client::{danger::HandshakeSignatureValid, verify_server_name},
    pki_types::{
        CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime, pem::PemObject,
    },
    server::{
        ParsedCertificate, WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};
use sha2::{Digest as _, Sha256};

use crate::base::clock::Timestamp;

pub mod join;

const DAY: Duration = Duration::from_secs(86_400);
/// Life of the authority; it is replaced by making a new one and issuing everything anew.
const AUTHORITY_LIFE: Duration = DAY.saturating_mul(3_650);
/// Life of a node's certificate. Masters issue their own anew at each start.
const IDENTITY_LIFE: Duration = DAY.saturating_mul(825);
/// Certificates are valid from this long before they were made: clocks of new machines are off.
const BACKDATED: Duration = DAY;

/// What a node is in the cluster.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    Master,
    Agent,
}

impl Role {
    /// The name that certificates of this role carry.
    pub fn name(self) -> &'static str {
        match self {
            Self::Master => "master.tepui.internal",
            Self::Agent => "agent.tepui.internal",
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

/// The cluster's certificate authority.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
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
        Ok(Self { issuer: Issuer::new(params, key), certificate })
    }

    /// The authority kept in `dir`, made there at the first call.
    pub fn load_or_create(dir: &Path, cluster: &str, now: Timestamp) -> Result<Self, PkiError> {
        let (cert_path, key_path) = (dir.join("ca.crt"), dir.join("ca.key"));
        if key_path.exists() {
            let certificate: CertificateDer<'static> = read_pem(&cert_path)?;
            let key: PrivatePkcs8KeyDer<'static> = read_pem(&key_path)?;
            let key = KeyPair::try_from(key.secret_pkcs8_der())?;
            return Ok(Self { issuer: Issuer::from_ca_cert_der(&certificate, key)?, certificate });
        }
        let made = Self::create(cluster, now)?;
        write_private(&cert_path, &pem("CERTIFICATE", &made.certificate))?;
        // The key last: with it in place the pair is complete.
        write_private(&key_path, &made.issuer.key().serialize_pem())?;
        Ok(made)
    }

    /// SHA-256 of the certificate in lower-case hex. Join tokens carry it, so that a new node knows
    /// the cluster it talks to.
    pub fn fingerprint(&self) -> String {
        Sha256::digest(&self.certificate).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The authority's certificate, for clients that want to verify the cluster.
    pub fn certificate_pem(&self) -> String {
        pem("CERTIFICATE", &self.certificate)
    }

    /// A new key and certificate.
    pub fn issue(&self, subject: &Subject<'_>, now: Timestamp) -> Result<Identity, PkiError> {
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
        set_validity(&mut params, now, IDENTITY_LIFE);
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?.der().clone();
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        Ok(Identity { certificate, key, authority: self.certificate.clone() })
    }
}

impl Identity {
    /// Reads the identity kept in `dir`.
    pub fn load(dir: &Path) -> Result<Self, PkiError> {
        Ok(Self {
            certificate: read_pem(&dir.join("node.crt"))?,
            key: read_pem(&dir.join("node.key"))?,
            authority: read_pem(&dir.join("ca.crt"))?,
        })
    }

    /// Keeps the identity in `dir`.
    pub fn save(&self, dir: &Path) -> Result<(), PkiError> {
        write_private(&dir.join("ca.crt"), &pem("CERTIFICATE", &self.authority))?;
        write_private(&dir.join("node.crt"), &pem("CERTIFICATE", &self.certificate))?;
        write_private(&dir.join("node.key"), &pem("PRIVATE KEY", self.key.secret_pkcs8_der()))
    }

    /// For servers that let in nodes of `roles` only, each proving itself.
    pub fn server_config(&self, roles: &[Role]) -> Result<Arc<ServerConfig>, PkiError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let roots = Arc::new(self.roots()?);
        let known = WebPkiClientVerifier::builder_with_provider(roots, provider.clone()).build()?;
        let names = roles.iter().map(|role| role.server_name()).collect();
        let verifier = Arc::new(RoleVerifier { known, names });
        let config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![self.certificate.clone()], self.key())?;
        Ok(Arc::new(config))
    }

    /// For clients that prove themselves; which role they reach they say with
    /// [`Role::server_name`].
    pub fn client_config(&self) -> Result<Arc<ClientConfig>, PkiError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
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

/// Lets in certificates of the cluster's authority that carry one of the names.
#[derive(Debug)]
struct RoleVerifier {
    known: Arc<dyn ClientCertVerifier>,
    names: Vec<ServerName<'static>>,
}

impl ClientCertVerifier for RoleVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.known.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        let verified = self.known.verify_client_cert(certificate, intermediates, now)?;
        let parsed = ParsedCertificate::try_from(certificate)?;
        let carries = |name: &ServerName<'_>| verify_server_name(&parsed, name).is_ok();
        if self.names.iter().any(carries) {
            Ok(verified)
        } else {
            Err(CertificateError::NotValidForName.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.known.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.known.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.known.supported_verify_schemes()
    }
}

/// Certificates are valid by whole days.
fn set_validity(params: &mut CertificateParams, now: Timestamp, life: Duration) {
    let date = |at: Timestamp| {
        let at = jiff::Timestamp::from_millisecond(at.as_ms()).unwrap_or_default();
        let day = at.to_zoned(jiff::tz::TimeZone::UTC).date();
        rcgen::date_time_ymd(
            i32::from(day.year()),
            day.month().unsigned_abs(),
            day.day().unsigned_abs(),
        )
    };
    params.not_before = date(now - BACKDATED);
    params.not_after = date(now + life);
}

fn pem(label: &str, der: &[u8]) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let mut out = format!("-----BEGIN {label}-----\n");
    for line in text.as_bytes().chunks(64) {
        out.extend(line.iter().map(|byte| char::from(*byte)));
        out.push('\n');
    }
    out + &format!("-----END {label}-----\n")
}

fn read_pem<T: PemObject>(path: &Path) -> Result<T, PkiError> {
    let path = path.to_path_buf();
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(source) => return Err(PkiError::File { path, source }),
    };
    T::from_pem_slice(&bytes).map_err(|source| PkiError::Parse { path, source })
}

/// Writes a file only its owner can read, whole or not at all.
fn write_private(path: &Path, text: &str) -> Result<(), PkiError> {
    let write = || -> io::Result<()> {
        if let Some(dir) = path.parent() {
            fs::create_dir_all(dir)?;
        }
        let new = path.with_extension("new");
        let mut options = fs::OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, path)
    };
    write().map_err(|source| PkiError::File { path: path.to_path_buf(), source })
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
    use tokio_rustls::{TlsAcceptor, TlsConnector};

    use super::*;
    use crate::base::clock::{Clock as _, SystemClock};

    fn identity(authority: &Authority, roles: &[Role]) -> Identity {
        let names = ["10.0.0.1".to_owned(), "m1.example".to_owned()];
        let subject = Subject { node: "n1", roles, names: &names };
        authority.issue(&subject, SystemClock.now()).unwrap()
    }

    /// Whether `client` and `server` talk, the client asking for `wanted`.
    async fn talk(client: &Identity, wanted: Role, server: &Identity, allowed: &[Role]) -> bool {
        let (near, far) = duplex(1 << 14);
        let acceptor = TlsAcceptor::from(server.server_config(allowed).unwrap());
        let connector = TlsConnector::from(client.client_config().unwrap());
        let serve = async {
            let mut tls = acceptor.accept(far).await?;
            tls.write_all(b"hello").await?;
            tls.flush().await?;
            io::Result::Ok(tls)
        };
        let ask = async {
            let mut tls = connector.connect(wanted.server_name(), near).await?;
            let mut heard = [0; 5];
            tls.read_exact(&mut heard).await?;
            io::Result::Ok(heard == *b"hello")
        };
        let (served, heard) = tokio::join!(serve, ask);
        served.is_ok() && heard.is_ok_and(|same| same)
    }

    #[tokio::test]
    async fn only_the_right_role_of_the_same_cluster_gets_in() {
        let now = SystemClock.now();
        let ours = Authority::create("ours", now).unwrap();
        let theirs = Authority::create("theirs", now).unwrap();
        let master = identity(&ours, &[Role::Master]);
        let both = identity(&ours, &[Role::Master, Role::Agent]);
        let agent = identity(&ours, &[Role::Agent]);
        let stranger = identity(&theirs, &[Role::Master]);
        let (m, a) = (Role::Master, Role::Agent);
        assert!(talk(&master, m, &both, &[m]).await);
        assert!(talk(&agent, m, &master, &[m, a]).await);
        assert!(talk(&both, m, &master, &[m]).await);
        assert!(!talk(&agent, m, &master, &[m]).await, "an agent is no master");
        assert!(!talk(&master, m, &agent, &[m]).await, "nor can it pose as one");
        assert!(!talk(&stranger, m, &master, &[m]).await, "another cluster's master");
        assert!(!talk(&master, m, &stranger, &[m]).await, "nor is that one trusted");
    }

    #[tokio::test]
    async fn what_is_kept_in_files_is_found_again() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let now = SystemClock.now();
        let first = Authority::load_or_create(dir.path(), "c", now).unwrap();
        let again = Authority::load_or_create(dir.path(), "c", now).unwrap();
        assert_eq!(first.fingerprint(), again.fingerprint());
        let node = dir.path().join("node");
        identity(&again, &[Role::Master]).save(&node).unwrap();
        let loaded = Identity::load(&node).unwrap();
        let fresh = identity(&first, &[Role::Master]);
        assert!(talk(&loaded, Role::Master, &fresh, &[Role::Master]).await);
        for file in ["ca.key", "node/node.key"] {
            let mode = fs::metadata(dir.path().join(file)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{file}");
        }
        let missing = Identity::load(&dir.path().join("none")).err().unwrap().to_string();
        assert!(missing.ends_with("node.crt cannot be read or written"), "{missing}");
    }
}
