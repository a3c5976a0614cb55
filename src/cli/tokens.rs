//! `tepui token …`.

use http::Method;
use serde_json::{Value, json};

use super::{
    args::Token,
    client::{Ask, segment},
    error::{CliError, Outcome},
    nodes,
    output::Table,
    run::{Context, confirm},
    text::{field, list},
};

pub async fn run(cx: &mut Context, token: Token) -> Outcome {
    let (ask, text) = match token {
        Token::Create { invite } => return nodes::invite(cx, &invite).await,
        Token::List => return open(cx).await,
        Token::Revoke { join: Some(id), .. } => return disinvite(cx, &id).await,
        Token::Revoke { user, all, yes, join: None } => {
            if all && !yes {
                confirm(cx, "Everybody has to sign in again.")?;
            }
            let body = match (&user, all) {
                (Some(user), _) => json!({ "user": user }),
                (None, true) => json!({"all": true}),
                (None, false) => json!({}),
            };
            let whose = match (&user, all) {
                (Some(user), _) => format!("the tokens of {user} count no more"),
                (None, true) => "no token made so far counts any more".to_owned(),
                (None, false) => "your tokens count no more; sign in with: tepui login".to_owned(),
            };
            (Ask::post("/tepui/v1/tokens/revoke").json(&body), whose)
        }
        Token::Rotate { yes } => {
            if !yes {
                confirm(cx, "Everybody has to sign in again.")?;
            }
            let text = "the signing secret is another one; no token made so far counts any more";
            (Ask::post("/tepui/v1/tokens/rotate").json(&json!({})), text.to_owned())
        }
    };
    let answer: Value = cx.client.json(ask).await?;
    match cx.printer.json {
        true => Ok(cx.printer.value(&answer)?),
        false => Ok(cx.printer.note(&text)?),
    }
}

/// Tokens of nodes that have not joined.
async fn open(cx: &mut Context) -> Outcome {
    let answer = cx.client.get("/tepui/v1/invitations").await?;
    if cx.printer.json {
        return Ok(cx.printer.value(&answer["invitations"])?);
    }
    let mut table = Table::new(&["ID", "FOR", "GOOD UNTIL"]);
    for row in list(&answer, "invitations") {
        let role = row["role"].as_str().unwrap_or("agent, public-agent");
        table.row([field(row, "id").to_owned(), role.to_owned(), field(row, "expires_at").into()]);
    }
    Ok(cx.printer.table(&table)?)
}

async fn disinvite(cx: &mut Context, id: &str) -> Outcome {
    if id.is_empty() {
        // The path would be that of the list.
        let error = CliError::usage("\"\" names no token");
        return Err(error.hint("tepui token list shows those that wait"));
    }
    let path = format!("/tepui/v1/invitations/{}", segment(id));
    cx.client.bytes(Ask::new(Method::DELETE, path)).await?;
    match cx.printer.json {
        true => Ok(cx.printer.value(&json!({ "id": id }))?),
        false => Ok(cx.printer.note("nobody can join with it any more")?),
    }
}
