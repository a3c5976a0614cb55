//! Sign-in and users below `/acs/api/v1` (docs/compat/dcos.md, "Identity").
//!
//! Unknown users are 400, not 404; errors are `{title, description, code}`; 204 answers carry no
//! content type. The gateway has checked the caller's token for all but `/auth/…`.

use std::{sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderValue, StatusCode, header};
use parking_lot::Mutex;
use serde_json::{Map, Value, json};

use super::{
    challenge::{self, CHALLENGE},
    spki, system,
    user::{self, Bad},
};
use crate::{
    base::{
        clock::{Clock, Timestamp},
        rng::Rng,
    },
    control::cluster::{self, Cluster},
    core::{AccessCommand, Rejected, command::Expect},
    http::{
        Call, RequestId, Response,
        auth::{AUTH_COOKIE, Passwords, TOKEN_LIFE, TOKEN_LIFE_MAX, Tokens, TooMany},
        body::BodyError,
        reply::{self, Reply},
        route::{Access, Route, Table, delete, get, patch, post, put},
    },
    model::access::User,
};

/// The cookie our sign-in sets for scripts of the page.
pub const INFO_COOKIE: &str = "dcos-acs-info-cookie";

/// What the identity routes work with.
pub struct Iam {
    pub cluster: Arc<dyn Cluster>,
    pub tokens: Arc<Tokens>,
    pub passwords: Arc<Passwords>,
    pub clock: Arc<dyn Clock>,
    pub rng: Mutex<Rng>,
}

/// The routes.
pub fn routes() -> Vec<Route<Iam>> {
    vec![
        post("/acs/api/v1/auth/login", Access::Open, login),
        get("/acs/api/v1/auth/logout", Access::Open, logout),
        get("/acs/api/v1/auth/jwks", Access::Open, jwks),
        get("/acs/api/v1/auth/providers", Access::Open, providers),
        get("/acs/api/v1/uiconfig", Access::Read, ui_config),
        get("/acs/api/v1/users", Access::Admin, list),
        get("/acs/api/v1/users/{uid}", Access::Admin, show),
        put("/acs/api/v1/users/{uid}", Access::Admin, create),
        patch("/acs/api/v1/users/{uid}", Access::Admin, change),
        delete("/acs/api/v1/users/{uid}", Access::Admin, remove),
    ]
}

/// The table over them; the gateway has checked who is calling.
pub fn table(iam: Iam) -> Table<Iam> {
    Table::new(Arc::new(iam), routes()).on_denied(challenge::denied)
}

/// An answer that is not a success.
#[derive(Debug)]
enum Failed {
    Bad(Bad),
    NotAcceptable,
    ContentType,
    Credentials,
    Exists(String),
    LastUser(String),
    TooMany(TooMany),
    Body(BodyError),
    Unavailable(String),
}

impl From<Bad> for Failed {
    fn from(bad: Bad) -> Self {
        Self::Bad(bad)
    }
}

/// Nothing but users is changed here, so every kind is about one.
impl From<Rejected> for Failed {
    fn from(rejected: Rejected) -> Self {
        match rejected {
            Rejected::Exists(user) => Self::Exists(user.id),
            Rejected::NotFound(user) => unknown(&user.id),
            Rejected::Last(_) => Self::LastUser(rejected.to_string()),
            other => Self::Bad(Bad { text: other.to_string(), code: Some("ERR_INVALID_DATA") }),
        }
    }
}

impl From<cluster::Error> for Failed {
    fn from(error: cluster::Error) -> Self {
        match error {
            cluster::Error::Rejected(rejected) => rejected.into(),
            error @ (cluster::Error::Log(_)
            | cluster::Error::Unanswered(_)
            | cluster::Error::Elsewhere(_)) => Self::Unavailable(error.to_string()),
        }
    }
}

impl Reply for Failed {
    fn reply(self, request: RequestId) -> Response {
        let error = |status, title: &str, description: &str, code: Option<&str>| {
            let body = json!({"title": title, "description": description, "code": code});
            pretty(status, &body)
        };
        match self {
            Self::Bad(Bad { text, code }) => {
                error(StatusCode::BAD_REQUEST, "Bad Request", &text, code)
            }
            Self::NotAcceptable => {
                let text = "Only application/json can be sent";
                error(StatusCode::NOT_ACCEPTABLE, "Not Acceptable", text, None)
            }
            Self::ContentType => {
                let text = "Unexpected or undefined Content-Type";
                error(StatusCode::UNSUPPORTED_MEDIA_TYPE, "Unsupported Media Type", text, None)
            }
            Self::Credentials => {
                let code = Some("ERR_INVALID_CREDENTIALS");
                let text = "The given credentials are invalid";
                let response = error(StatusCode::UNAUTHORIZED, "Unauthorized", text, code);
                reply::with_header(response, header::WWW_AUTHENTICATE, CHALLENGE)
            }
            Self::Exists(uid) => {
                let text = format!("User with uid `{uid}` already exists");
                error(StatusCode::CONFLICT, "Conflict", &text, Some("ERR_USER_EXISTS"))
            }
            Self::TooMany(refused) => {
                let code = Some("ERR_TOO_MANY_ATTEMPTS");
                let status = StatusCode::TOO_MANY_REQUESTS;
                let response = error(status, "Too Many Requests", &refused.to_string(), code);
                let wait = refused.wait.as_secs().to_string();
                reply::with_header(response, header::RETRY_AFTER, &wait)
            }
            Self::LastUser(text) => {
                error(StatusCode::CONFLICT, "Conflict", &text, Some("ERR_LAST_USER"))
            }
            Self::Body(cause) => cause.reply(request),
            Self::Unavailable(text) => {
                reply::text(StatusCode::SERVICE_UNAVAILABLE, format!("{text}\n"))
            }
        }
    }
}

fn unknown(uid: &str) -> Failed {
    let text = format!("User with uid `{uid}` not known");
    Failed::Bad(Bad { text, code: Some("ERR_UNKNOWN_USER_ID") })
}

/// JSON with two blanks of indent and a line break at the end.
fn pretty(status: StatusCode, value: &Value) -> Response {
    let text = format!("{value:#}\n");
    let mut response = reply::content(status, "application/json; charset=utf-8", text);
    for (name, value) in [
        (header::CACHE_CONTROL, "no-cache, no-store, must-revalidate"),
        (header::PRAGMA, "no-cache"),
        (header::EXPIRES, "0"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// The JSON object of a request, with the checks every endpoint makes first.
async fn object(call: &mut Call) -> Result<Map<String, Value>, Failed> {
    check_accept(call)?;
    let media_type = call.header(header::CONTENT_TYPE).unwrap_or_default();
    let media_type = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let bytes = call.bytes().await.map_err(Failed::Body)?;
    let lacking = || {
        let text = "Request has bad Content-Type or lacks JSON data";
        Failed::Bad(Bad { text: text.to_owned(), code: None })
    };
    match media_type.as_str() {
        "application/json" if !bytes.is_empty() => {}
        "application/json" | "application/x-www-form-urlencoded" => return Err(lacking()),
        "" if bytes.is_empty() => return Err(lacking()),
        _ => return Err(Failed::ContentType),
    }
    let decode = |problem: String| {
        Failed::Bad(Bad { text: format!("Cannot decode JSON body{problem}"), code: None })
    };
    let text = std::str::from_utf8(&bytes)
        .map_err(|error| decode(format!(" using UTF-8. Reason: {error}")))?;
    let value: Value =
        serde_json::from_str(text).map_err(|error| decode(format!(". Reason: {error}")))?;
    match value {
        Value::Object(object) => Ok(object),
        other => Err(user::schema(&format!("{other} is not of type 'object'")).into()),
    }
}

fn check_accept(call: &Call) -> Result<(), Failed> {
    let named = call.header(header::ACCEPT).unwrap_or("*/*");
    let takes_json = named.split(',').any(|item| {
        let media_type = item.split(';').next().unwrap_or_default().trim();
        ["*/*", "application/*", "application/json", ""].contains(&media_type)
    });
    if takes_json { Ok(()) } else { Err(Failed::NotAcceptable) }
}

/// The credentials of a login.
enum Credentials<'a> {
    Password {
        uid: &'a str,
        password: &'a str,
    },
    /// A short token signed with the key of a service account.
    Signed {
        uid: &'a str,
        token: &'a str,
    },
    /// An ID token of an outside provider; none is set up.
    Outside,
}

fn credentials(body: &Map<String, Value>) -> Result<Credentials<'_>, Bad> {
    for (key, value) in body {
        let fits = match key.as_str() {
            "uid" | "password" | "token" => value.is_string(),
            "exp" => value.is_i64(),
            _ => {
                let text = "Additional properties are not allowed";
                return Err(user::schema(&format!("{text} ('{key}' was unexpected)")));
            }
        };
        if !fits {
            return Err(user::schema(&format!("{value} is of a wrong type")));
        }
    }
    let text = |key: &str| body.get(key).and_then(Value::as_str);
    match (text("uid"), text("password"), text("token")) {
        (Some(uid), Some(password), None) => Ok(Credentials::Password { uid, password }),
        (Some(uid), None, Some(token)) => Ok(Credentials::Signed { uid, token }),
        (None, None, Some(_)) => Ok(Credentials::Outside),
        _ => Err(user::schema("uid and password, uid and token, or token must be given")),
    }
}

async fn login(iam: Arc<Iam>, mut call: Call) -> Result<Response, Failed> {
    let body = object(&mut call).await?;
    let state = iam.cluster.state();
    let user = match credentials(&body)? {
        Credentials::Password { uid, password } => {
            let user = state.users.get(uid);
            let hash = user.and_then(|user| user.password_hash.clone());
            let peer = call.origin().map(|origin| origin.peer.ip());
            let is_right = iam.passwords.sign_in(uid, peer, password.to_owned(), hash).await;
            let is_right = is_right.map_err(Failed::TooMany)?;
            user.filter(|_| is_right)
        }
        Credentials::Signed { uid, token } => {
            let user = state.users.get(uid);
            user.filter(|user| is_signed_by(user, token, iam.clock.now()))
        }
        Credentials::Outside => None,
    };
    let user = user.ok_or(Failed::Credentials)?;
    let now = iam.clock.now();
    // 0 asks for a token without an end; there is none, so it gets the longest life.
    let life = match body.get("exp").and_then(Value::as_i64) {
        Some(0) => TOKEN_LIFE_MAX,
        Some(exp) => {
            Duration::from_secs(u64::try_from(exp.saturating_sub(now.as_ms() / 1000)).unwrap_or(0))
        }
        None => TOKEN_LIFE,
    };
    let life = life.min(TOKEN_LIFE_MAX);
    // Nobody any more when the user was removed while the password was hashed.
    let token = iam.tokens.issue(&user.uid, now, life).ok_or(Failed::Credentials)?;
    tracing::info!(uid = user.uid, "signed in");
    let over_tls = call.origin().is_some_and(|origin| origin.tls);
    Ok(signed_in(user, &token, life, over_tls))
}

/// The part of our cookies that says where browsers send them: to our own pages' requests and to
/// links followed here, and where we were reached over TLS never in clear.
fn cookie_scope(over_tls: bool) -> &'static str {
    if over_tls { "Path=/; SameSite=Lax; Secure" } else { "Path=/; SameSite=Lax" }
}

/// The token with the two cookies of a browser session.
fn signed_in(user: &User, token: &str, life: Duration, over_tls: bool) -> Response {
    let mut response = pretty(StatusCode::OK, &json!({ "token": token }));
    let info = json!({
        "uid": user.uid, "description": user.description, "is_remote": user.is_remote,
    });
    let (age, scope) = (life.as_secs(), cookie_scope(over_tls));
    for cookie in [
        format!("{AUTH_COOKIE}={token}; HttpOnly; {scope}; Max-Age={age}"),
        format!("{INFO_COOKIE}={}; {scope}; Max-Age={age}", STANDARD.encode(info.to_string())),
    ] {
        if let Ok(cookie) = HeaderValue::from_str(&cookie) {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
    }
    response
}

/// The claims of a service account's login token that matter.
#[derive(serde::Deserialize)]
struct LoginClaims {
    uid: String,
    /// Seconds since the Unix epoch, fractions allowed (RFC 7519, `NumericDate`).
    exp: f64,
}

/// Whether `token` is an unexpired RS256 token for this service account, signed with its key.
/// One without an end would be as good as the key itself for whoever saw it once: it is refused.
fn is_signed_by(user: &User, token: &str, now: Timestamp) -> bool {
    let Some(key) = user.public_key.as_deref().and_then(|pem| spki::rsa_key(pem).ok()) else {
        return false;
    };
    let key = jsonwebtoken::DecodingKey::from_rsa_der(&key);
    let mut rules = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::RS256);
    rules.required_spec_claims.clear();
    rules.validate_exp = false; // compared below, with our own clock
    rules.validate_aud = false;
    match jsonwebtoken::decode::<LoginClaims>(token, &key, &rules) {
        Ok(token) => token.claims.uid == user.uid && token.claims.exp * 1000.0 > now.as_ms() as f64,
        Err(error) => {
            tracing::info!(uid = user.uid, %error, "a login token is refused");
            false
        }
    }
}

async fn logout(_: Arc<Iam>, call: Call) -> Response {
    let scope = cookie_scope(call.origin().is_some_and(|origin| origin.tls));
    let gone =
        format!("{AUTH_COOKIE}=\"\"; HttpOnly; {scope}; expires=Sat, 01 Jan 2000 00:00:00 GMT");
    reply::with_header(reply::empty(StatusCode::OK), header::SET_COOKIE, &gone)
}

/// Tokens are signed with a shared secret, so there is no public key to show.
async fn jwks(_: Arc<Iam>, _: Call) -> Response {
    pretty(StatusCode::OK, &json!({"keys": []}))
}

async fn providers(_: Arc<Iam>, _: Call) -> Response {
    let provider = |kind: &str, method: &str, description: &str| {
        json!({
            "authentication-type": kind,
            "client-method": method,
            "description": description,
            "config": {"start_flow_url": "/acs/api/v1/auth/login"},
        })
    };
    let users = provider(
        "dcos-uid-password",
        "dcos-usercredential-post-receive-authtoken",
        "Sign in with a user name and a password",
    );
    let services = provider(
        "dcos-uid-servicekey",
        "dcos-servicecredential-post-receive-authtoken",
        "Sign in with a service account and its private key",
    );
    pretty(StatusCode::OK, &json!({"dcos-users": users, "dcos-services": services}))
}

async fn ui_config(iam: Arc<Iam>, _: Call) -> Response {
    pretty(StatusCode::OK, &system::ui_config(&iam.cluster.state(), true))
}

async fn list(iam: Arc<Iam>, call: Call) -> Result<Response, Failed> {
    check_accept(&call)?;
    let services = match call.query().get("type") {
        None | Some("user") => false,
        Some("service") => true,
        Some(_) => return Err(Bad { text: "Invalid `type`".to_owned(), code: None }.into()),
    };
    let state = iam.cluster.state();
    let users = state.users.values().filter(|user| user.public_key.is_some() == services);
    let array: Vec<_> = users.map(|user| user::show(user, false)).collect();
    Ok(pretty(StatusCode::OK, &json!({ "array": array })))
}

fn find(iam: &Iam, call: &Call) -> Result<Arc<User>, Failed> {
    let uid = call.param("uid");
    iam.cluster.state().users.get(uid).cloned().ok_or_else(|| unknown(uid))
}

async fn show(iam: Arc<Iam>, call: Call) -> Result<Response, Failed> {
    check_accept(&call)?;
    Ok(pretty(StatusCode::OK, &user::show(&*find(&iam, &call)?, true)))
}

async fn create(iam: Arc<Iam>, mut call: Call) -> Result<Response, Failed> {
    let body = object(&mut call).await?;
    let draft = user::draft(call.param("uid"), &body)?;
    if iam.cluster.state().users.contains_key(&draft.user.uid) {
        return Err(Failed::Exists(draft.user.uid)); // spares the hash
    }
    let password_hash = hash(&iam, draft.password).await?;
    let user = User { password_hash, ..draft.user };
    iam.cluster
        .propose(&call.principal, AccessCommand::PutUser { user, expect: Expect::Absent }.into())
        .await?;
    Ok(reply::empty(StatusCode::CREATED))
}

async fn change(iam: Arc<Iam>, mut call: Call) -> Result<Response, Failed> {
    let body = object(&mut call).await?;
    let mut user = User::clone(&*find(&iam, &call)?);
    let (description, password) = user::change(&user, &body)?;
    if let Some(description) = description {
        user.description = description;
    }
    if password.is_some() {
        user.password_hash = hash(&iam, password).await?;
    }
    iam.cluster
        .propose(&call.principal, AccessCommand::PutUser { user, expect: Expect::Present }.into())
        .await?;
    Ok(reply::empty(StatusCode::NO_CONTENT))
}

async fn hash(iam: &Iam, password: Option<String>) -> Result<Option<String>, Failed> {
    let Some(password) = password else { return Ok(None) };
    let mut rng = {
        let mut shared = iam.rng.lock();
        let seed = shared.below(u64::MAX);
        shared.child(&format!("salt {seed}"))
    };
    let hash = iam.passwords.hash(password, &mut rng).await;
    hash.map(Some).map_err(|error| Failed::Unavailable(error.to_string()))
}

async fn remove(iam: Arc<Iam>, call: Call) -> Result<Response, Failed> {
    let uid = call.param("uid").to_owned();
    iam.cluster.propose(&call.principal, AccessCommand::DeleteUser(uid).into()).await?;
    Ok(reply::empty(StatusCode::NO_CONTENT))
}

#[cfg(test)]
mod tests;
