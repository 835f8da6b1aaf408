//! How is agreement computed for a host?

use quorate_consensus::Ratings;
use quorate_consensus::agreement::{
    self, AlphaOptions, Coefficient, IccForm, KappaOptions, Level, Weights, krippendorff_alpha as alpha,
};
use quorate_core::Result;

use super::ratings::{self, Values};
use crate::read::{number, pair, rows, text};
use crate::{Answer, Args, Given};

/// Krippendorff's alpha.
pub fn krippendorff_alpha(mut args: Args) -> Result<Answer> {
    let circumference = args.maybe("circumference", number)?;
    let poles = args.maybe("poles", pair)?;
    let levels = [
        ("nominal", Level::Nominal),
        ("ordinal", Level::Ordinal),
        ("interval", Level::Interval),
        ("ratio", Level::Ratio),
        ("circular", Level::Circular { circumference }),
        ("bipolar", Level::Bipolar { poles }),
    ];
    let level = args.choice("level", &levels)?;
    let values = if level == Level::Nominal { Values::Named } else { Values::Measured };
    let data = ratings::take(&mut args, values, true, "form")?;
    let options = AlphaOptions { level, ..args.rest()? };
    let name = levels.iter().find(|(_, known)| *known == level).map(|(name, _)| *name);
    Answer::with(&alpha(&data, &options)?, [("level", name.into())])
}

/// How much credit a near miss gets: by name, or a table.
fn weights(given: Given, what: &str) -> Result<Weights> {
    match given {
        given @ Given::Text(_) => {
            let names = [
                ("identity", Weights::Identity),
                ("linear", Weights::Linear),
                ("quadratic", Weights::Quadratic),
                ("ordinal", Weights::Ordinal),
                ("radical", Weights::Radical),
                ("ratio", Weights::Ratio),
                ("circular", Weights::Circular),
                ("bipolar", Weights::Bipolar),
            ];
            crate::read::choose(what, &text(given, what)?, &names)
        }
        table => Ok(Weights::Custom(rows(table, what, false)?)),
    }
}

/// Cohen's kappa of two arrays about the same items, `a` and `b`, or of ratings.
pub fn cohen_kappa(mut args: Args) -> Result<Answer> {
    if !args.has("b") {
        let data = args.take("a");
        if !data.is_missing() {
            args.put("data", data);
        }
        return coefficient(args, agreement::cohen_kappa_of);
    }
    let weights = args.maybe("weights", weights)?.unwrap_or_default();
    ratings::pair(args, |a, b, args| {
        let options = KappaOptions { weights, ..args.rest()? };
        Answer::report(&agreement::cohen_kappa(a, b, &options)?)
    })
}

/// A coefficient of ratings.
pub fn coefficient(
    mut args: Args,
    method: fn(&Ratings, &KappaOptions) -> Result<Coefficient>,
) -> Result<Answer> {
    let weights = args.maybe("weights", weights)?.unwrap_or_default();
    let data = ratings::take(&mut args, Values::Named, false, "form")?;
    let options = KappaOptions { weights, ..args.rest()? };
    Answer::report(&method(&data, &options)?)
}

/// Kendall's W.
pub fn kendall_w(mut args: Args) -> Result<Answer> {
    let data = ratings::take(&mut args, Values::Measured, true, "form")?;
    args.done()?;
    Answer::report(&agreement::kendall_w(&data)?)
}

/// An intraclass correlation. Its own form has the name; that of the table is `data_form`.
pub fn icc(mut args: Args) -> Result<Answer> {
    let form: IccForm = args.or("form", IccForm::default(), |given, what| text(given, what)?.parse())?;
    let confidence = args.or("confidence", AlphaOptions::default().confidence, number)?;
    let data = ratings::take(&mut args, Values::Measured, true, "data_form")?;
    args.done()?;
    Answer::report(&agreement::icc(&data, form, confidence)?)
}
