//! Commands run inside a running container, with their streams.

use std::pin::Pin;

use bollard::{
    container::LogOutput,
    exec::{CreateExecOptions, ResizeExecOptions, StartExecOptions, StartExecResults},
};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream::BoxStream};
use tokio::io::AsyncWrite;

use super::engine::{Engine, EngineError};

/// A command to run in a container.
#[derive(Clone, Debug, Default)]
pub struct ExecPlan {
    pub command: Vec<String>,
    pub tty: bool,
    pub stdin: bool,
    pub env: Vec<String>,
    pub user: Option<String>,
    pub working_dir: Option<String>,
}

/// A command that runs.
pub struct Session {
    /// The engine's id for it.
    pub id: String,
    /// Pieces of output; `true`: standard error.
    pub output: BoxStream<'static, Result<(bool, Bytes), EngineError>>,
    pub input: Pin<Box<dyn AsyncWrite + Send>>,
}

impl Engine {
    /// Starts a command in container `id`.
    pub async fn exec(&self, id: &str, plan: ExecPlan) -> Result<Session, EngineError> {
        let client = self.client().await?;
        let options = CreateExecOptions {
            attach_stdin: Some(plan.stdin),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            tty: Some(plan.tty),
            env: (!plan.env.is_empty()).then_some(plan.env),
            cmd: Some(plan.command),
            user: plan.user,
            working_dir: plan.working_dir,
            ..CreateExecOptions::default()
        };
        let made = client.create_exec(id, options).await.map_err(|e| self.error(&e))?;
        let start = StartExecOptions { detach: false, tty: plan.tty, output_capacity: None };
        let socket = self.socket().to_owned();
        match client.start_exec(&made.id, Some(start)).await.map_err(|e| self.error(&e))? {
            StartExecResults::Attached { output, input } => {
                let output = output.map(move |item| match item {
                    Ok(LogOutput::StdErr { message }) => Ok((true, message)),
                    Ok(other) => Ok((false, other.into_bytes())),
                    Err(error) => Err(EngineError::Away {
                        socket: socket.clone(),
                        cause: crate::base::error::chain(&error),
                    }),
                });
                Ok(Session { id: made.id, output: Box::pin(output), input })
            }
            StartExecResults::Detached => Err(EngineError::Refused {
                status: 500,
                message: "the engine detached a command that was to be attached".to_owned(),
            }),
        }
    }

    /// Sets the size of a session's terminal.
    pub async fn exec_resize(
        &self,
        session: &str,
        rows: u16,
        columns: u16,
    ) -> Result<(), EngineError> {
        let client = self.client().await?;
        let size = ResizeExecOptions { height: rows, width: columns };
        client.resize_exec(session, size).await.map_err(|e| self.error(&e))
    }

    /// The exit code of a session that has ended; `None` while it runs.
    pub async fn exec_exit_code(&self, session: &str) -> Result<Option<i32>, EngineError> {
        let client = self.client().await?;
        let answer = client.inspect_exec(session).await.map_err(|e| self.error(&e))?;
        if answer.running == Some(true) {
            return Ok(None);
        }
        Ok(answer.exit_code.and_then(|c| i32::try_from(c).ok()))
    }
}
