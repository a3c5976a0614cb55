//! Certificates of the front door, which people, browsers and command lines see: made by the
//! cluster's authority, or given by the operator.
//!
//! They are not the identity of a node: they name no role, so that whoever gets hold of the front
//! door's key is no member of the cluster.

use std::{fs, path::Path, sync::Arc, time::Duration};

use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose};
use rustls::{
    client::verify_server_name,
    crypto::aws_lc_rs,
    pki_types::{
        CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, pem::PemObject as _,
    },
    server::ParsedCertificate,
    sign::CertifiedKey,
};

use super::{Authority, DAY, PkiError, set_validity};
use crate::base::clock::Timestamp;

/// Life of a certificate made here; the front door makes another well before.
pub const WEB_LIFE: Duration = DAY.saturating_mul(90);

/// A certificate with what leads from it to its authority, and its key.
pub struct WebCertificate {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Authority {
    /// A certificate for a front door reached under `names` (DNS names and addresses). The
    /// authority's own stands behind it, so that a client can learn whom to trust from now on.
    pub fn issue_web(&self, names: &[String], now: Timestamp) -> Result<WebCertificate, PkiError> {
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, "tepui");
        let first = names.first().map_or("front door", String::as_str);
        params.distinguished_name.push(DnType::CommonName, first);
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        set_validity(&mut params, now, WEB_LIFE);
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?.der().clone();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        Ok(WebCertificate { chain: vec![certificate, self.certificate.clone()], key })
    }
}

impl WebCertificate {
    /// Reads PEM files: the certificate, with those between it and its authority behind it, and its
    /// key.
    pub fn read(certificate: &Path, key: &Path) -> Result<Self, PkiError> {
        let parse = |path: &Path, source| PkiError::Parse { path: path.to_path_buf(), source };
        let read = |path: &Path| {
            fs::read(path).map_err(|source| PkiError::File { path: path.to_path_buf(), source })
        };
        let chain = CertificateDer::pem_slice_iter(&read(certificate)?)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|source| parse(certificate, source))?;
        if chain.is_empty() {
            return Err(parse(certificate, rustls::pki_types::pem::Error::NoItemsFound));
        }
        let key_der =
            PrivateKeyDer::from_pem_slice(&read(key)?).map_err(|source| parse(key, source))?;
        Ok(Self { chain, key: key_der })
    }

    /// Ready to serve.
    ///
    /// # Errors
    /// When the key is of no use, or is not that of the certificate.
    pub fn certified(&self) -> Result<Arc<CertifiedKey>, PkiError> {
        let provider = aws_lc_rs::default_provider();
        let key = self.key.clone_key();
        Ok(Arc::new(CertifiedKey::from_der(self.chain.clone(), key, &provider)?))
    }

    /// Whether the certificate is for `name`, a DNS name or an address.
    pub fn covers(&self, name: &str) -> bool {
        let Ok(name) = ServerName::try_from(name.to_owned()) else { return false };
        let parsed = self.chain.first().map(ParsedCertificate::try_from);
        matches!(parsed, Some(Ok(parsed)) if verify_server_name(&parsed, &name).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::{Clock as _, SystemClock};

    #[test]
    fn a_front_door_is_known_by_its_names_and_is_no_node() {
        let authority = Authority::create("c", SystemClock.now()).unwrap();
        let names = ["m1.example".to_owned(), "10.0.0.1".to_owned()];
        let web = authority.issue_web(&names, SystemClock.now()).unwrap();
        web.certified().unwrap();
        for (name, is_its) in [
            ("m1.example", true),
            ("10.0.0.1", true),
            ("10.0.0.2", false),
            ("master.tepui.internal", false),
            ("agent.tepui.internal", false),
            ("", false),
        ] {
            assert_eq!(web.covers(name), is_its, "{name}");
        }
    }

    #[test]
    fn files_of_the_operator_are_read_and_a_wrong_key_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let (certificate, key) = (dir.path().join("web.crt"), dir.path().join("web.key"));
        let made = |name: &str| {
            let key = KeyPair::generate().unwrap();
            let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
            (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
        };
        let (one, other) = (made("one.example"), made("other.example"));
        fs::write(&certificate, &one.0).unwrap();
        fs::write(&key, &one.1).unwrap();
        let read = WebCertificate::read(&certificate, &key).unwrap();
        assert!(read.certified().is_ok() && read.covers("one.example"));
        fs::write(&key, &other.1).unwrap();
        assert!(WebCertificate::read(&certificate, &key).unwrap().certified().is_err());
        fs::write(&certificate, "rubbish").unwrap();
        let error = WebCertificate::read(&certificate, &key).err().unwrap().to_string();
        assert!(error.contains("web.crt holds no certificate"), "{error}");
    }
}
