//! Deployments: diff, steps, progress, who goes first.
