//! Users as the identity API shows and takes them, and the rules for making one
//! (docs/compat/dcos.md, "Users").

use serde_json::{Map, Value, json};

use super::spki::{self, KeyError};
use crate::model::access::User;

/// Shortest password.
const PASSWORD_CHARS_MIN: usize = 5;
/// Longest uid.
const UID_CHARS_MAX: usize = 96;
/// Keys of a creation that old clients send and nobody looks at.
const LEGACY: [&str; 2] = ["creator_uid", "cluster_url"];
/// Where users with an email for a name sign in, when nothing else is said.
const OIDC_ISSUER: &str = "https://dcos.auth0.com/";

/// A refused request: text and code of the 400 answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bad {
    pub text: String,
    pub code: Option<&'static str>,
}

fn bad(text: impl Into<String>, code: Option<&'static str>) -> Bad {
    Bad { text: text.into(), code }
}

/// The user as JSON. `with_key`: also the public key, as a look at one service account shows it.
pub fn show(user: &User, with_key: bool) -> Value {
    let mut shown = json!({
        "uid": user.uid,
        "url": format!("/acs/api/v1/users/{}", user.uid),
        "description": user.description,
        "is_remote": user.is_remote,
        "is_service": user.public_key.is_some(),
        "provider_type": user.provider_type,
        "provider_id": user.provider_id,
    });
    if let (true, Some(key)) = (with_key, &user.public_key) {
        shown["public_key"] = json!(key);
    }
    shown
}

/// What a creation asks for, checked. The password is still to be hashed.
#[derive(Debug)]
pub struct Draft {
    pub user: User,
    pub password: Option<String>,
}

/// Checks a creation.
pub fn draft(uid: &str, body: &Map<String, Value>) -> Result<Draft, Bad> {
    let is_char = |c: char| c.is_ascii_alphanumeric() || "-_@.".contains(c);
    if uid.is_empty()
        || uid.len() > UID_CHARS_MAX
        || uid == "anonymous"
        || !uid.chars().all(is_char)
    {
        return Err(bad("Invalid user ID", Some("ERR_INVALID_USER_ID")));
    }
    let known = ["description", "password", "public_key", "provider_type", "provider_id"];
    let body = Texts::new(body, &[&known[..], &LEGACY].concat())?;
    let is_bare = known.iter().all(|key| body.get(key).is_none());
    if is_bare && uid.contains('@') {
        return Ok(Draft { user: user(uid, "", "oidc", OIDC_ISSUER, None), password: None });
    }
    let (password, key) = (body.get("password"), body.get("public_key"));
    for (name, value) in [("password", password), ("public_key", key)] {
        if value == Some("") {
            return Err(bad(format!("`{name}` must not be empty when provided"), None));
        }
    }
    let provider_id = body.get("provider_id").unwrap_or_default();
    let kind = body.get("provider_type").filter(|kind| !kind.is_empty()).unwrap_or("internal");
    check_provider(kind, provider_id, password, key)?;
    if let Some(password) = password {
        check_password(password)?;
    }
    if let Some(key) = key {
        spki::rsa_key(key).map_err(|error| match error {
            KeyError::Invalid => bad(error.to_string(), Some("ERR_INVALID_PUBLIC_KEY")),
            KeyError::NotRsa => bad(error.to_string(), Some("ERR_INVALID_PUBLIC_KEY")),
        })?;
    }
    let description = body.get("description").unwrap_or_default();
    let user = user(uid, description, kind, provider_id, key);
    Ok(Draft { user, password: password.map(str::to_owned) })
}

fn check_provider(
    kind: &str,
    provider_id: &str,
    password: Option<&str>,
    key: Option<&str>,
) -> Result<(), Bad> {
    let invalid = Some("ERR_INVALID_DATA");
    match kind {
        "internal" if password.is_some() == key.is_some() => {
            return Err(bad("One of `password` or `public_key` must be provided", None));
        }
        "internal" => {}
        "oidc" | "saml" | "ldap" => {
            for (name, value) in [("password", password), ("public_key", key)] {
                if value.is_some() {
                    return Err(bad(format!("`{name}` is unexpected"), None));
                }
            }
        }
        _ => return Err(bad("Invalid provider_type", None)),
    }
    match (kind, provider_id) {
        ("oidc" | "saml", "") => Err(bad("provider_id must be provided", invalid)),
        ("internal" | "ldap", id) if !id.is_empty() => {
            Err(bad("provider_id must not be provided", invalid))
        }
        _ => Ok(()),
    }
}

/// A change of a user: new description, new password.
pub fn change(
    user: &User,
    body: &Map<String, Value>,
) -> Result<(Option<String>, Option<String>), Bad> {
    let body = Texts::new(body, &["description", "password"])?;
    let (description, password) = (body.get("description"), body.get("password"));
    if description.is_none() && password.is_none() {
        return Err(bad("One of `description` and `password` must be provided", None));
    }
    if let Some(password) = password {
        if user.public_key.is_some() {
            return Err(bad("The password of a service account cannot be set", None));
        }
        check_password(password)?;
    }
    Ok((description.map(str::to_owned), password.map(str::to_owned)))
}

fn check_password(password: &str) -> Result<(), Bad> {
    if password.chars().count() < PASSWORD_CHARS_MIN {
        return Err(bad("Password does not match rules", None));
    }
    Ok(())
}

fn user(uid: &str, description: &str, kind: &str, provider_id: &str, key: Option<&str>) -> User {
    User {
        uid: uid.to_owned(),
        description: description.to_owned(),
        password_hash: None,
        public_key: key.map(str::to_owned),
        provider_type: kind.to_owned(),
        provider_id: provider_id.to_owned(),
        is_remote: kind != "internal",
        // As in the open edition: whoever is made here may do everything (docs/compat/dcos.md).
        superuser: true,
        generation: 0,
    }
}

/// A JSON object whose known values are all text and that has no other keys.
struct Texts<'a>(&'a Map<String, Value>);

impl<'a> Texts<'a> {
    fn new(body: &'a Map<String, Value>, known: &[&str]) -> Result<Self, Bad> {
        for (key, value) in body {
            if !known.contains(&key.as_str()) {
                return Err(schema(&format!(
                    "Additional properties are not allowed ('{key}' was unexpected)"
                )));
            }
            if !value.is_string() {
                return Err(schema(&format!("{value} is not of type 'string'")));
            }
        }
        Ok(Self(body))
    }

    fn get(&self, key: &str) -> Option<&'a str> {
        self.0.get(key).and_then(Value::as_str)
    }
}

/// JSON of the wrong shape.
pub fn schema(problem: &str) -> Bad {
    bad(format!("Unexpected JSON input: {problem}"), None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(uid: &str, body: Value, want: Result<&str, &str>) {
        let got = draft(uid, body.as_object().unwrap());
        let got = got.map(|draft| draft.user.provider_type).map_err(|bad| bad.text);
        assert_eq!(got.as_deref().map_err(String::as_str), want, "{uid} {body}");
    }

    #[test]
    fn creation_rules_hold_in_order() {
        let password = json!({"password": "hunter2"});
        check("ann", password.clone(), Ok("internal"));
        check("a/b", password.clone(), Err("Invalid user ID"));
        check("anonymous", password.clone(), Err("Invalid user ID"));
        check(&"x".repeat(97), password, Err("Invalid user ID"));
        check("ann@example.org", json!({}), Ok("oidc"));
        check("ann@example.org", json!({"creator_uid": "x"}), Ok("oidc"));
        let one_of = "One of `password` or `public_key` must be provided";
        check("ann", json!({}), Err(one_of));
        check("ann", json!({"password": "hunter2", "public_key": "x"}), Err(one_of));
        let empty = "`password` must not be empty when provided";
        check("ann", json!({"password": ""}), Err(empty));
        check("ann", json!({"password": "four"}), Err("Password does not match rules"));
        check("ann", json!({"public_key": "x"}), Err("Invalid public key"));
        check("ann", json!({"provider_type": "x"}), Err("Invalid provider_type"));
        let oidc = |id: &str| json!({"provider_type": "oidc", "provider_id": id});
        check("ann", oidc("https://issuer"), Ok("oidc"));
        check("ann", oidc(""), Err("provider_id must be provided"));
        let mixed = json!({"provider_type": "ldap", "password": "hunter2"});
        check("ann", mixed, Err("`password` is unexpected"));
        let own = json!({"password": "hunter2", "provider_id": "x"});
        check("ann", own, Err("provider_id must not be provided"));
        let extra = "Unexpected JSON input: \
            Additional properties are not allowed ('x' was unexpected)";
        check("ann", json!({"x": 1}), Err(extra));
        let number = "Unexpected JSON input: 1 is not of type 'string'";
        check("ann", json!({"description": 1}), Err(number));
    }
}
