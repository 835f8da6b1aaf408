//! How is agreement computed from Node?

use quorate::Result;
use quorate::consensus::Ratings;
use quorate::consensus::agreement::{
    self, AlphaOptions, Coefficient, IccForm, KappaOptions, Level, Resample, Weights,
};

use super::ratings::{Cells, measurements, ratings};
use crate::convert::{Args, Out, choose, count, number, pair, report, rows, text, whole};
use crate::value::Given;

/// Krippendorff's alpha.
pub fn krippendorff_alpha(mut args: Args) -> Result<Out> {
    let nominal = matches!(&args.peek("level"), None | Some("nominal"));
    let data = if nominal { ratings(&mut args)? } else { measurements(&mut args)? };
    let circumference = args.maybe("circumference", number)?;
    let poles = args.maybe("poles", pair)?;
    let options = AlphaOptions {
        level: args.choice(
            "level",
            &[
                ("nominal", Level::Nominal),
                ("ordinal", Level::Ordinal),
                ("interval", Level::Interval),
                ("ratio", Level::Ratio),
                ("circular", Level::Circular { circumference }),
                ("bipolar", Level::Bipolar { poles }),
            ],
        )?,
        bootstrap: args.or("bootstrap", 0, count)?,
        resample: args.choice("resample", &[("items", Resample::Items), ("pairs", Resample::Pairs)])?,
        seed: args.or("seed", 0, whole)?,
        confidence: args.or("confidence", 0.95, number)?,
    };
    args.done()?;
    report(&agreement::krippendorff_alpha(&data, &options)?)
}

fn kappa_options(args: &mut Args) -> Result<KappaOptions> {
    let weights = match args.take("weights") {
        Given::Undefined | Given::Null => Weights::Identity,
        Given::Text(name) => choose(
            "weights",
            &name,
            &[
                ("identity", Weights::Identity),
                ("linear", Weights::Linear),
                ("quadratic", Weights::Quadratic),
                ("ordinal", Weights::Ordinal),
                ("radical", Weights::Radical),
                ("ratio", Weights::Ratio),
                ("circular", Weights::Circular),
                ("bipolar", Weights::Bipolar),
            ],
        )?,
        table => Weights::Custom(rows(table, "weights", false)?),
    };
    Ok(KappaOptions { weights, confidence: args.or("confidence", 0.95, number)? })
}

/// Cohen's kappa of two arrays about the same items.
pub fn cohen_kappa(mut args: Args) -> Result<Out> {
    let options = kappa_options(&mut args)?;
    let (a, b) = (Cells::read(args.take("a"), "a")?, Cells::read(args.take("b"), "b")?);
    args.done()?;
    report(&agreement::cohen_kappa(a.column(), b.column(), &options)?)
}

/// A coefficient of ratings.
pub fn coefficient(
    mut args: Args,
    method: fn(&Ratings, &KappaOptions) -> Result<Coefficient>,
) -> Result<Out> {
    let data = ratings(&mut args)?;
    let options = kappa_options(&mut args)?;
    args.done()?;
    report(&method(&data, &options)?)
}

/// Kendall's W.
pub fn kendall_w(mut args: Args) -> Result<Out> {
    let data = measurements(&mut args)?;
    args.done()?;
    report(&agreement::kendall_w(&data)?)
}

/// An intraclass correlation.
pub fn icc(mut args: Args) -> Result<Out> {
    let data = measurements(&mut args)?;
    let form: IccForm = args.or("form", "2,1".to_owned(), text)?.parse()?;
    let confidence = args.or("confidence", 0.95, number)?;
    args.done()?;
    report(&agreement::icc(&data, form, confidence)?)
}
