//! Whom a password, a token and an authority are shown to, and what is remembered.

use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::cli::{args::Global, session};

const PROVIDERS: &str = "GET /acs/api/v1/auth/providers";
const LOGIN: &str = "POST /acs/api/v1/auth/login";

fn cluster() -> Site {
    let site = Site::new();
    site.says(PROVIDERS, 200, json!({})).says(LOGIN, 200, json!({"token": "T1"}));
    site
}

async fn login(site: &Site, address: &str, more: &[&str]) -> Done {
    let args = [&["login", address, "--password-stdin"][..], more].concat();
    let mut env = site.env();
    env.remove("TEPUI_URL");
    site.run_in(&args, "s3cret pass\r\n", env).await
}

#[tokio::test]
async fn a_login_is_remembered_for_its_owner_alone_and_forgotten_on_request() {
    let site = cluster();
    let done = login(&site, &site.url(), &["--user", "ann"]).await;
    assert_eq!(done.said(), (0, "signed in to URL as ann\n"));
    let sent = site.asked().pop().expect("the login");
    assert_eq!(
        sent.body,
        json!({"uid": "ann", "password": "s3cret pass"}),
        "without the line's end"
    );
    let file = site.home.path().join(".config/tepui/client.env");
    let kept = std::fs::read_to_string(&file).expect("kept");
    assert_eq!(kept, format!("TEPUI_URL={}\nTEPUI_TOKEN=T1\n", site.url()));
    assert_eq!(std::fs::metadata(&file).expect("kept").permissions().mode() & 0o777, 0o600);

    let mut env = site.env();
    env.remove("TEPUI_URL");
    site.run_in(&["status"], "", env.clone()).await;
    assert_eq!(site.asked().pop().and_then(|asked| asked.token).as_deref(), Some("T1"));
    assert_eq!(site.run_in(&["logout"], "", env.clone()).await.said(), (0, "signed out\n"));
    assert_eq!(
        site.run_in(&["logout"], "", env.clone()).await.said(),
        (0, "nobody was signed in\n")
    );
    assert_eq!(site.run_in(&["status"], "", env).await.code, 7, "no cluster is known any more");
}

#[tokio::test]
async fn a_login_that_fails_leaves_what_was_there() {
    let wrong = json!({"title": "Unauthorized"});
    for (says, code, said) in [
        ((401, wrong.to_string()), 4, "error: URL refuses this user or password\n"),
        ((200, json!({"token": ""}).to_string()), 1, "error: URL answered without a token\n"),
        ((200, json!({}).to_string()), 1, "error: URL answered without a token\n"),
        ((503, json!({"message": "no master leads"}).to_string()), 7, "error: no master leads\n"),
    ] {
        let site = Site::new();
        site.says(PROVIDERS, 200, json!({})).says(LOGIN, says.0, says.1);
        let file = site.home.path().join(".config/tepui/client.env");
        std::fs::create_dir_all(file.parent().expect("a directory")).expect("made");
        std::fs::write(&file, "TEPUI_URL=http://old:1\nTEPUI_TOKEN=OLD\n").expect("written");
        let done = login(&site, &site.url(), &[]).await;
        assert_eq!(done.code, code);
        assert!(done.err.starts_with(said), "{}", done.err);
        let kept = std::fs::read_to_string(&file).expect("kept");
        assert_eq!(kept, "TEPUI_URL=http://old:1\nTEPUI_TOKEN=OLD\n");
    }
}

#[tokio::test]
async fn what_is_no_cluster_never_hears_the_password() {
    let site = Site::new();
    let done = login(&site, &site.url(), &[]).await;
    assert_eq!(done.code, 3);
    assert!(done.err.ends_with("hint: is this the address of a tepui cluster?\n"), "{}", done.err);
    assert_eq!(site.lines(), [PROVIDERS]);
}

/// In clear a password goes where `http://` was typed, or to this machine; never where TLS was
/// asked for, however that was spelt.
#[tokio::test]
async fn a_password_goes_in_clear_only_where_that_was_meant() {
    let plain = |site: &Site| site.url().trim_start_matches("http://").to_owned();
    let site = cluster();
    assert_eq!(login(&site, &plain(&site), &[]).await.code, 0, "this machine, without a scheme");
    for scheme in ["https", "HTTPS", "Https", "hTTPs"] {
        let site = cluster();
        let done = login(&site, &format!("{scheme}://{}", plain(&site)), &[]).await;
        assert_eq!(done.code, 4, "{scheme}: {}", done.err);
        assert!(done.err.contains("speaks plain HTTP: a password could be read"), "{}", done.err);
        assert!(!site.lines().contains(&LOGIN.to_owned()), "{scheme}: the password was sent");
    }
}

#[test]
fn addresses_are_written_in_one_way() {
    for (given, wanted) in [
        ("host", Some("https://host")),
        (" host:8000/ ", Some("https://host:8000")),
        ("http://host:8000///", Some("http://host:8000")),
        ("HTTP://Host", Some("http://Host")),
        ("HttpS://Host/base/", Some("https://Host/base")),
        ("[::1]:8000", Some("https://[::1]:8000")),
        ("http://", None),
        ("", None),
        ("ftp://host", None),
        ("a b", None),
        ("http://host:port", None),
        ("https://host:84443", None),
        ("host:", None),
        ("http://ann:secret@host:80", Some("http://ann:secret@host:80")),
        ("http://ann:secret@host", Some("http://ann:secret@host")),
        ("://host", None),
    ] {
        let found = session::canonical(given);
        assert_eq!(found.as_deref().ok(), wanted, "{given:?}");
        if let Err(error) = found {
            assert_eq!((error.exit as u8, error.hint.is_some()), (2, true), "{given:?}");
        }
    }
}

/// Where things may be said, and what is believed of it: flag, environment, beside us, remembered,
/// each an address and a token.
#[test]
fn the_first_that_names_an_address_decides_and_its_token_goes_with_it() {
    type Said<'a> = Option<(&'a str, &'a str)>;
    let here = "http://127.0.0.1:8000";
    let cases: &[([Said<'_>; 4], Option<(&str, &str)>)] = &[
        ([None, None, None, None], None),
        ([None, None, None, Some(("http://old", "O"))], Some(("http://old", "O"))),
        ([None, None, Some((here, "D")), Some(("http://old", "O"))], Some((here, "D"))),
        ([None, None, Some(("http://[::1]:1", "D")), None], Some(("http://[::1]:1", "D"))),
        // The working directory may be anybody's.
        (
            [None, None, Some(("http://evil", "D")), Some(("http://old", "O"))],
            Some(("http://old", "O")),
        ),
        ([None, None, Some(("http://127.0.0.1.evil", "D")), None], None),
        ([None, None, Some(("http://localhost.evil:80", "D")), None], None),
        ([None, Some(("http://env", "E")), Some((here, "D")), None], Some(("http://env", "E"))),
        (
            [None, Some(("http://env", "")), Some((here, "D")), Some(("http://env", "O"))],
            Some(("http://env", "O")),
        ),
        (
            [None, Some(("http://env", "")), None, Some(("http://old", "O"))],
            Some(("http://env", "")),
        ),
        (
            [None, Some(("http://env", "")), None, Some(("http://env/", "O"))],
            Some(("http://env", "O")),
        ),
        (
            [Some(("http://flag", "F")), Some(("http://env", "E")), None, None],
            Some(("http://flag", "F")),
        ),
        (
            [Some(("http://flag", "")), Some(("http://env", "E")), None, None],
            Some(("http://flag", "E")),
        ),
        // A token given by hand was given for another place than this directory.
        (
            [None, Some(("", "E")), Some((here, "D")), Some(("http://old", "O"))],
            Some(("http://old", "E")),
        ),
        ([Some(("", "F")), None, Some((here, "D")), None], None),
    ];
    for ([flag, env, beside, remembered], wanted) in cases {
        let home = tempfile::tempdir().expect("a directory");
        let some = |text: &str| Some(text.to_owned()).filter(|t| !t.is_empty());
        let file = |place: &str, said: &Said<'_>| {
            let Some((url, token)) = said else { return };
            let path = home.path().join(place);
            std::fs::create_dir_all(path.parent().expect("a directory")).expect("made");
            std::fs::write(path, format!("TEPUI_URL={url}\nTEPUI_TOKEN={token}\n"))
                .expect("written");
        };
        file("tepui-dev/client.env", beside);
        file(".config/tepui/client.env", remembered);
        let mut vars = BTreeMap::from([("HOME".to_owned(), home.path().display().to_string())]);
        if let Some((url, token)) = env {
            vars.insert("TEPUI_URL".to_owned(), (*url).to_owned());
            vars.insert("TEPUI_TOKEN".to_owned(), (*token).to_owned());
        }
        let (url, token) = flag.map_or((None, None), |(url, token)| (some(url), some(token)));
        let global = Global { url, token, ca: None, insecure: false, json: false, quiet: false };
        let nobody = Shared::default();
        let io = Io {
            stdin: Box::new(io::empty()),
            stdout: Box::new(nobody.clone()),
            stderr: Box::new(nobody.clone()),
            terminal: [false; 3],
            env: vars,
            cwd: home.path().to_owned(),
            system_files: false,
            clock: ManualClock::new(NOW),
        };
        let found = session::Session::find(&global, &io).ok();
        let found = found.as_ref().map(|s| (s.url.as_str(), s.token.as_deref().unwrap_or("")));
        assert_eq!(found, *wanted, "{flag:?} {env:?} {beside:?} {remembered:?}");
    }
}
