//! `tepui login` and `tepui logout`.

use std::io::Read as _;

use serde_json::json;

use super::{
    args::{self, Global},
    client::{Ask, Client},
    error::{CliError, Exit, Outcome},
    output::Printer,
    run::Io,
    session::{self, Session},
    text::field,
};
use crate::base::task::Tasks;

/// Longest password read from a pipe.
const PASSWORD_BYTES_MAX: u64 = 4096;

pub async fn login(
    args: &args::Login,
    global: &Global,
    mut io: Io,
    printer: &mut Printer,
    tasks: &Tasks,
) -> Outcome<u8> {
    let known = match &args.address {
        Some(address) => {
            let (url, source) = (session::canonical(address)?, "the command line".to_owned());
            Session { url, token: None, source }
        }
        None => Session { token: None, ..Session::find(global, &io)? },
    };
    let password = password(args, &mut io, &known.url)?;
    let url = known.url.clone();
    let client = Client::new(known, global.ca.as_deref(), global.insecure, tasks)?;
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
    let file = session::remember(&io, &url, token)?;
    if printer.json {
        printer
            .value(&json!({"url": url, "uid": args.user, "file": file.display().to_string()}))?;
    } else {
        printer.note(&format!("signed in to {url} as {}", args.user))?;
    }
    Ok(0)
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
