//! HTTP for everybody: listeners, routes, errors, proxying, streams.
