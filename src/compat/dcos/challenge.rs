//! The 401 and 403 of the admin router (docs/compat/dcos.md, "Refusals"): the challenge that tells
//! the CLI how to sign in, and a page that sends browsers to the sign-in view; a page for those who
//! are known and may not.

use http::{StatusCode, header::WWW_AUTHENTICATE, request::Parts};

use crate::http::{
    Response,
    auth::{Asked, Refusal, metrics},
    error::ApiError,
    reply::{self, Reply as _},
};

/// `acsjwt` means "ask for user and password"; `oauthjwt` would send people to an outside site.
pub const CHALLENGE: &str = "acsjwt";

const PAGE: &str = r#"<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Sign in</title>
<noscript><meta http-equiv="refresh" content="5; url=/#/login"></noscript>
<script>
window.location.replace("/#/login?redirect=" + encodeURIComponent(window.location.href));
</script>
</head>
<body>
<h1>Sign in first</h1>
<p>This needs a signed-in user. <a href="/#/login">Go to the sign-in page</a>.</p>
</body>
</html>
"#;

const DENIED_PAGE: &str = r#"<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Access denied</title>
</head>
<body>
<h1>Access denied</h1>
<p>This needs a superuser. <a href="/">Go to the start page</a>.</p>
</body>
</html>
"#;

/// The refusal of a caller who is known and may not do this.
pub fn denied(_: &Parts) -> Response {
    reply::html(StatusCode::FORBIDDEN, DENIED_PAGE)
}

/// The refusal of a request without a good token.
pub fn refuse(refusal: Refusal, asked: Asked<'_>) -> Response {
    metrics::refused(refusal, asked);
    let hint = match refusal {
        Refusal::Foreign | Refusal::Script => "send the token in the Authorization header",
        _ => {
            let page = reply::html(StatusCode::UNAUTHORIZED, PAGE);
            return reply::with_header(page, WWW_AUTHENTICATE, CHALLENGE);
        }
    };
    ApiError::new(StatusCode::FORBIDDEN, "cross_origin", words(refusal))
        .hint(hint)
        .reply(asked.id())
}

fn words(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::Script => "a cookie does not count where the answer is a script",
        _ => "a change was asked for by a page of another origin",
    }
}
