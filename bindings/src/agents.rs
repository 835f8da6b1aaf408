//! How does a host say what a match and a panel must be like, and how a registry learns?

use quorate_agents::{DEFAULT_EXPLORATION, MatchOptions, PanelOptions, Policy, Tuning};
use quorate_core::Result;
use quorate_core::filter::Filter;

use crate::read::{choose, count, floats32, number, text, whole};
use crate::{Args, Given, typed};

/// The options of a match besides its filter, and the vector of the question where the host has it.
///
/// ```
/// use quorate_bindings::{Args, Given, Host, agents};
/// let given = Given::Object(vec![("k".into(), Given::Number(3.0)), ("maxCost".into(), Given::Null)]);
/// let (options, vector) = agents::matching(Args::new(Host::Node, "options of match", given)?, None)?;
/// assert_eq!((options.k, options.max_cost, vector), (3, None, None));
/// # Ok::<(), quorate_core::Error>(())
/// ```
pub fn matching(mut args: Args, filter: Option<Filter>) -> Result<(MatchOptions, Option<Vec<f32>>)> {
    let vector = args.maybe("vector", floats32)?;
    Ok((constraints(args, filter)?, vector))
}

/// The options of a panel besides its filter.
pub fn panel(mut args: Args, filter: Option<Filter>) -> Result<PanelOptions> {
    let defaults = PanelOptions::default();
    Ok(PanelOptions {
        size: args.or("size", defaults.size, count)?,
        min_fit: args.or("min_fit", defaults.min_fit, number)?,
        diversity: args.or("diversity", defaults.diversity, number)?,
        thrift: args.or("thrift", defaults.thrift, number)?,
        pool: args.or("pool", defaults.pool, count)?,
        constraints: constraints(args, filter)?,
    })
}

fn constraints(mut args: Args, filter: Option<Filter>) -> Result<MatchOptions> {
    // None says that nothing is required, and that the default confidence is enough.
    let require = args.maybe("require", crate::read::texts)?;
    let min_confidence = args.maybe("min_confidence", number)?;
    let mut options: MatchOptions = args.rest()?;
    options.require = require.unwrap_or_default();
    options.min_confidence = min_confidence.unwrap_or(options.min_confidence);
    Ok(MatchOptions { filter, ..options })
}

/// How scores are mixed (`tuning`), and how outcomes are learnt from (`policy`: a name, or its members with it as `kind`).
pub fn learning(args: &mut Args) -> Result<(Tuning, Policy)> {
    let host = args.host();
    let tuning = args.maybe("tuning", |given, what| typed::read(host, given, what))?;
    let policy = args.maybe("policy", |given, what| {
        let mut members = Args::new(
            host,
            "the members of policy",
            match given {
                name @ Given::Text(_) => Given::Object(vec![("kind".to_owned(), name)]),
                given => given,
            },
        )?;
        let alpha = members.or("alpha", DEFAULT_EXPLORATION, number)?;
        let seed = members.or("seed", 0, whole)?;
        let kinds = [("lin_ucb", Policy::LinUcb { alpha }), ("thompson", Policy::Thompson { alpha, seed })];
        let kind = text(members.take("kind"), what)?;
        members.done()?;
        choose(what, &kind, &kinds)
    })?;
    Ok((tuning.unwrap_or_default(), policy.unwrap_or(Policy::LinUcb { alpha: DEFAULT_EXPLORATION })))
}
