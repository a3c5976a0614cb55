//! `tepui login` and `tepui logout`.
//!
//! Nothing secret is sent before it is known who answers: a server over TLS has to be vouched for,
//! by an authority of this machine's or by the cluster's own, whose fingerprint the caller has
//! confirmed once; in clear a password goes to this machine only, or where `http://` was typed.

use std::{
    io::{BufRead as _, Read as _},
    net::IpAddr,
};

use http::Uri;
use serde_json::json;

use super::{
    args::{self, Global},
    client::{Ask, Client},
    error::{CliError, Exit, Outcome},
    io::Io,
    output::Printer,
    session::{self, Session},
    text::field,
    tls::{self, Found, Introduced},
};
use crate::base::task::Tasks;

/// Longest password read from a pipe.
const PASSWORD_BYTES_MAX: u64 = 4096;

/// Whom a login trusts.
enum Trust {
    /// What the machine or the flags say.
    AsGiven,
    /// The cluster's own authority, met and confirmed just now.
    New(Introduced),
}

pub async fn login(
    args: &args::Login,
    global: &Global,
    mut io: Io,
    printer: &mut Printer,
    tasks: &Tasks,
) -> Outcome<u8> {
    let (address, known_ca) = match &args.address {
        Some(address) => (address.clone(), session::remembered_ca(&io, address)),
        // A file that lies in the working directory does not decide where a password goes.
        None => {
            let known = Session::find_remembered(global, &io)?;
            (known.url, known.ca)
        }
    };
    let ca = global.ca.clone().or(known_ca);
    let (url, trust) = meet(&address, args, global, ca.as_deref(), &mut io, printer).await?;
    let ca = match &trust {
        Trust::New(introduced) => Some(session::remember_ca(&io, &introduced.pem())?),
        Trust::AsGiven => ca,
    };
    let known = Session {
        url: url.clone(),
        token: None,
        source: "the command line".to_owned(),
        ca: ca.clone(),
    };
    let client = Client::new(known, global.ca.as_deref(), global.insecure, tasks)?;
    // Anything else than a cluster is noticed before it hears the password.
    client.get("/acs/api/v1/auth/providers").await.map_err(|error| match error.status {
        Some(_) => error.hint("is this the address of a tepui cluster?"),
        None => error,
    })?;
    let password = password(args, &mut io, &url)?;
    let ask = Ask::post("/acs/api/v1/auth/login");
    let ask = ask.json(&json!({"uid": args.user, "password": password}));
    let answer = client.json(ask).await.map_err(|error| match error.status {
        Some(401) => CliError::new(Exit::Login, format!("{url} refuses this user or password"))
            .hint("a new cluster prints its first password where it was started"),
        _ => error,
    })?;
    let token = field(&answer, "token");
    if token.is_empty() {
        return Err(CliError::failure(format!("{url} answered without a token")));
    }
    let file = session::remember(&io, &url, token, ca.as_deref())?;
    if printer.json {
        printer
            .value(&json!({"url": url, "uid": args.user, "file": file.display().to_string()}))?;
    } else {
        printer.note(&format!("signed in to {url} as {}", args.user))?;
    }
    Ok(0)
}

/// Finds out how the address speaks and whether who answers is to be trusted.
async fn meet(
    address: &str,
    args: &args::Login,
    global: &Global,
    ca: Option<&std::path::Path>,
    io: &mut Io,
    printer: &mut Printer,
) -> Outcome<(String, Trust)> {
    let is_bare = !address.contains("://");
    let url = session::canonical(address)?;
    if !url.starts_with("https:") || global.insecure {
        return Ok((url, Trust::AsGiven));
    }
    let uri: Uri = url.parse().map_err(|error| CliError::usage(format!("{url}: {error}")))?;
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    match tls::look(&host, uri.port_u16().unwrap_or(443), ca).await? {
        Found::Trusted => Ok((url, Trust::AsGiven)),
        Found::Plain => {
            let plain = url.replacen("https:", "http:", 1);
            let is_here =
                host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
            if is_bare && is_here {
                return Ok((plain, Trust::AsGiven));
            }
            let text = format!("{address} speaks plain HTTP: a password could be read on the way");
            Err(CliError::new(Exit::Login, text)
                .hint(format!("if that is meant: tepui login {plain}")))
        }
        Found::Stranger(introduced) => {
            confirm(&introduced, &url, args, ca.is_some(), io, printer)?;
            Ok((url, Trust::New(introduced)))
        }
    }
}

/// Has the caller say that this is the right authority.
fn confirm(
    introduced: &Introduced,
    url: &str,
    args: &args::Login,
    knew_another: bool,
    io: &mut Io,
    printer: &mut Printer,
) -> Outcome {
    let found = introduced.fingerprint();
    if let Some(given) = &args.ca_fingerprint {
        let given: String = given.trim_start_matches("sha256:").to_lowercase();
        let given: String = given.chars().filter(|c| !matches!(c, ':' | ' ')).collect();
        if given == found {
            return Ok(());
        }
        let text = format!("another authority vouches for {url}: its fingerprint is {found}");
        return Err(CliError::new(Exit::Login, text)
            .hint("somebody may stand in between; the right one is printed where a node starts"));
    }
    if knew_another {
        let text = format!(
            "the authority behind {url} is not the one that was trusted before: now {found}"
        );
        return Err(CliError::new(Exit::Login, text)
            .hint("if the cluster was made anew: tepui logout, then sign in again"));
    }
    if !(io.terminal[0] && io.terminal[2]) {
        let text = format!("this machine does not know the authority behind {url}");
        return Err(CliError::new(Exit::Login, text).hint(
            "pass its fingerprint, printed where a node starts: --ca-fingerprint HEX   or --ca FILE",
        ));
    }
    let question = format!(
        "{url} is vouched for by an authority this machine does not know yet:\n  sha256 {found}\n\
         The node prints the same when it starts. Trust it from now on? [y/N] "
    );
    printer.raw_err(question.as_bytes())?;
    let mut answer = String::new();
    std::io::BufReader::new(&mut io.stdin).read_line(&mut answer)?;
    match answer.trim().to_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(CliError::new(Exit::Login, "the authority was not trusted, nothing was sent")),
    }
}

fn password(args: &args::Login, io: &mut Io, url: &str) -> Outcome<String> {
    if let Some(password) = io.var("TEPUI_PASSWORD") {
        return Ok(password);
    }
    if args.password_stdin {
        let mut text = String::new();
        io.stdin.by_ref().take(PASSWORD_BYTES_MAX).read_to_string(&mut text)?;
        return Ok(text.trim_end_matches(['\r', '\n']).to_owned());
    }
    if !(io.terminal[0] && io.terminal[2]) {
        return Err(CliError::usage("there is no terminal to ask for the password on")
            .hint("pass it by --password-stdin or TEPUI_PASSWORD"));
    }
    inquire::Password::new(&format!("Password of {} at {url}:", args.user))
        .without_confirmation()
        .prompt()
        .map_err(|error| CliError::failure(error.to_string()))
}

pub fn logout(io: &Io, printer: &mut Printer) -> Outcome {
    let text = if session::forget(io)? { "signed out" } else { "nobody was signed in" };
    Ok(printer.note(text)?)
}
