#!/bin/bash
# bollard 0.21.1 negotiates an API version and then does not use it: no request carries a version in its
# path, before or after `negotiate_version`, whatever was handed to the constructor. `client_version()`
# tells the negotiated one all the same. Engines answer such requests in their newest dialect, so a
# program that believes it speaks 1.41 gets the answers of whatever engine is there.
#
# Seen with bollard 0.21.1 (API_DEFAULT_VERSION 1.53) against a listener that says it speaks 1.41:
#   GET /version                              asked by negotiate_version
#   client_version: 1.41
#   GET /networks/bridge?...                  not /v1.41/networks/bridge
#
# Fails when that changes. Needs cargo and the crates' registry.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
cd "$work"
mkdir src
cat >Cargo.toml <<'TOML'
[package]
name = "paths"
version = "0.0.0"
edition = "2021"
[dependencies]
bollard = { version = "=0.21.1", default-features = false, features = ["http", "pipe"] }
tokio = { version = "1", features = ["rt", "macros"] }
TOML
cat >src/main.rs <<'RS'
use std::{io::{BufRead, BufReader, Write}, os::unix::net::UnixListener, sync::mpsc};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let path = std::env::args().nth(1).unwrap();
    let listener = UnixListener::bind(&path).unwrap();
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, tell) = (stream.unwrap(), tell.clone());
            std::thread::spawn(move || {
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let mut stream = stream;
                loop {
                    let mut first = String::new();
                    if reader.read_line(&mut first).unwrap_or(0) == 0 { return; }
                    let mut line = String::new();
                    while reader.read_line(&mut line).unwrap_or(0) > 2 { line.clear(); }
                    tell.send(first.trim_end().to_string()).unwrap();
                    let body = if first.contains("/version") {
                        r#"{"ApiVersion":"1.41","MinAPIVersion":"1.12","Version":"20.10.24"}"#
                    } else { r#"{"Name":"bridge"}"# };
                    write!(stream, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len()).unwrap();
                }
            });
        }
    });
    let docker = bollard::Docker::connect_with_socket(&path, 5, bollard::API_DEFAULT_VERSION).unwrap();
    let docker = docker.negotiate_version().await.unwrap();
    println!("client_version: {}", docker.client_version());
    docker.inspect_network("bridge", None::<bollard::query_parameters::InspectNetworkOptions>).await.unwrap();
    while let Ok(line) = told.try_recv() { println!("{line}"); }
}
RS
CARGO_TARGET_DIR="$work/target" cargo run -q -- "$work/socket" | tee out
grep -q '^client_version: 1.41$' out
grep -Eq '^GET /version' out
grep -Eq '^GET /networks/bridge' out
! grep -q '/v1\.' out
