//! `tepui token …`.

use serde_json::{Value, json};

use super::{
    args::Token,
    client::Ask,
    error::Outcome,
    run::{Context, confirm},
};

pub async fn run(cx: &mut Context, token: Token) -> Outcome {
    let (ask, text) = match token {
        Token::Revoke { user, all, yes } => {
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
