//! How is the command line run from Node?

use napi::{Env, Unknown};
use napi_derive::napi;
use quorate_cli::{Streams, run};

use crate::convert::{Out, arg, texts};
use crate::door::{Lane, NativeCancel, Promised, flag, promise};
use crate::errors::Thrown;

/// Runs a command; the Promise gives its exit code.
#[napi(ts_return_type = "Promise<number>")]
pub fn command_line(env: Env, args: Unknown<'_>, cancel: Option<&NativeCancel>) -> Result<Promised, Thrown> {
    let args = arg(&env, &args, "args", texts)?;
    let flag = flag(cancel);
    promise(&env, Lane::Slow, move || {
        let args = args.into_iter().map(Into::into);
        Ok(Out::Number(run(args, Streams::of_process(flag)).into()))
    })
}
