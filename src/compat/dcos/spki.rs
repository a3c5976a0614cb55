//! RSA public keys in PEM (X.509 SubjectPublicKeyInfo), the form service accounts are made with.
//!
//! Only as much DER as that one structure needs: three nested sequences, read strictly.

use base64::{Engine as _, engine::general_purpose::STANDARD};

const BEGIN: &str = "-----BEGIN PUBLIC KEY-----";
const END: &str = "-----END PUBLIC KEY-----";
/// Object identifier 1.2.840.113549.1.1.1, rsaEncryption.
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];

const SEQUENCE: u8 = 0x30;
const BIT_STRING: u8 = 0x03;
const OBJECT_ID: u8 = 0x06;

/// Why a text is no key we can use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("Invalid public key")]
    Invalid,
    #[error("Public key must be of type RSA")]
    NotRsa,
}

/// The PKCS#1 bytes (modulus and exponent) inside a PEM public key.
pub fn rsa_key(pem: &str) -> Result<Vec<u8>, KeyError> {
    let body = pem.trim().strip_prefix(BEGIN).and_then(|rest| rest.strip_suffix(END));
    let body: String = body.ok_or(KeyError::Invalid)?.split_whitespace().collect();
    let der = STANDARD.decode(body).map_err(|_| KeyError::Invalid)?;
    let (info, rest) = element(&der, SEQUENCE)?;
    if !rest.is_empty() {
        return Err(KeyError::Invalid);
    }
    let (algorithm, rest) = element(info, SEQUENCE)?;
    let (id, _) = element(algorithm, OBJECT_ID)?;
    let (key, rest) = element(rest, BIT_STRING)?;
    if id != RSA {
        return Err(KeyError::NotRsa);
    }
    // A bit string starts with the number of unused bits in its last byte.
    let key = key.strip_prefix(&[0]).ok_or(KeyError::Invalid)?;
    element(key, SEQUENCE)?;
    if rest.is_empty() { Ok(key.to_vec()) } else { Err(KeyError::Invalid) }
}

/// Splits `bytes` into the content of its first element, which must have `tag`, and the rest.
fn element(bytes: &[u8], tag: u8) -> Result<(&[u8], &[u8]), KeyError> {
    let [first, length, rest @ ..] = bytes else { return Err(KeyError::Invalid) };
    if *first != tag {
        return Err(KeyError::Invalid);
    }
    let (length, rest) = match *length {
        short @ 0..=0x7f => (usize::from(short), rest),
        long @ 0x81..=0x84 => {
            let n_bytes = usize::from(long & 0x7f);
            let (digits, rest) = rest.split_at_checked(n_bytes).ok_or(KeyError::Invalid)?;
            (digits.iter().fold(0, |n, digit| n << 8 | usize::from(*digit)), rest)
        }
        _ => return Err(KeyError::Invalid),
    };
    rest.split_at_checked(length).ok_or(KeyError::Invalid)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 512 bits, made for this test.
    const KEY: &str = "-----BEGIN PUBLIC KEY-----
MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAMFOyNvWipywg43EqmyNPOIAGrVObX5T
ngvjvQ8yP9wSv2o4g5zvLICpoggZPe6nwJ0zBWQO+hNXfcMMkKpUA6MCAwEAAQ==
-----END PUBLIC KEY-----
";
    const ED25519: &str = "-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAHRLAjeRGFJKZzT0l54kD/2+KhJJdlpRQXuOpmSlKFjw=
-----END PUBLIC KEY-----";

    #[test]
    fn an_rsa_key_is_found_inside_its_wrapping() {
        let key = rsa_key(KEY).unwrap();
        assert_eq!((key[0], key.len()), (SEQUENCE, 74));
    }

    #[test]
    fn other_keys_and_rubbish_are_told_apart() {
        assert_eq!(rsa_key(ED25519), Err(KeyError::NotRsa));
        for text in ["", "rubbish", BEGIN, &KEY.replace("MFww", "MFwx"), &KEY.replace("MFww", "")] {
            assert_eq!(rsa_key(text), Err(KeyError::Invalid), "{text}");
        }
    }
}
