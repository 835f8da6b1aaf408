//! Which ratings do the arguments of a call hold?

use std::collections::HashMap;
use std::sync::Arc;

use quorate_consensus::{Column, Duplicates, Label, Ratings, RatingsOptions, TableForm};
use quorate_core::{Error, Result, shorten};

use crate::read::{indices, label, labels, list, number, shape};
use crate::{Args, Given, Host, typed};

/// The names that three columns may have, crowd-kit's too.
const COLUMNS: [[&str; 3]; 3] =
    [["items", "raters", "values"], ["item", "rater", "value"], ["task", "worker", "label"]];

/// A column of labels.
enum Cells {
    Ints(Vec<i64>),
    Floats(Vec<f64>),
    Labels(Vec<Option<Label>>),
}

/// How a method takes the values: as names, or as numbers to compute with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Values {
    /// Equal or not.
    Named,
    /// Measurements, of which none stands for another, however large.
    Measured,
}

impl Cells {
    /// Arrays as they are, anything else label by label.
    fn read(given: Given, what: &str, host: Host, values: Values) -> Result<Cells> {
        // JavaScript has one number for several whole ones beyond 2^53; Python's are what they are, and NaN is one of them.
        let exact = host == Host::Python || values == Values::Measured;
        let one = |(i, item): (usize, Given)| match item {
            Given::Number(x) if exact && (host == Host::Python || !x.is_nan()) => Ok(Some(Label::from(x))),
            Given::List(_) | Given::F32(_) | Given::F64(_) | Given::Ints(_) => {
                Err(shape(format!("{what}[{i}] is {}; a string or a number is expected here", item.kind())))
            }
            item => label(item, &format!("{what}[{i}]")),
        };
        Ok(match given {
            Given::Ints(numbers) => Cells::Ints(numbers),
            Given::F64(numbers) => Cells::Floats(numbers),
            Given::F32(numbers) => Cells::Floats(numbers.into_iter().map(f64::from).collect()),
            other => {
                Cells::Labels(list(other, what)?.into_iter().enumerate().map(one).collect::<Result<_>>()?)
            }
        })
    }

    fn column(&self) -> Column<'_> {
        match self {
            Cells::Ints(v) => v.into(),
            Cells::Floats(v) => v.into(),
            Cells::Labels(v) => v.into(),
        }
    }

    fn labels(&self) -> Vec<Label> {
        match self {
            Cells::Ints(v) => v.iter().copied().map(Label::from).collect(),
            Cells::Floats(v) => v.iter().copied().map(Label::from).collect(),
            Cells::Labels(v) => v.iter().flatten().cloned().collect(),
        }
    }
}

/// Two columns about the same items, `a` and `b`, and what else was given.
pub fn pair<T>(mut args: Args, work: impl FnOnce(Column<'_>, Column<'_>, Args) -> Result<T>) -> Result<T> {
    let host = args.host();
    let a = Cells::read(args.take("a"), "a", host, Values::Named)?;
    let b = Cells::read(args.take("b"), "b", host, Values::Named)?;
    work(a.column(), b.column(), args)
}

/// Pairs of a label and a value: members, or a list of pairs. JavaScript's objects have texts as keys alone, so that theirs are
/// matched with the labels in `known`.
pub fn pairs<T>(
    given: Given,
    what: &str,
    known: impl FnOnce() -> Vec<Label>,
    convert: impl Fn(Given, &str) -> Result<T>,
) -> Result<Vec<(Label, T)>> {
    let read = |(key, value): (Given, Given)| {
        let key = label(key, &format!("a key of {what}"))?
            .ok_or_else(|| Error::invalid(format!("a key of {what} is missing")))?;
        let value = convert(value, &format!("{what}[{key}]"))?;
        Ok((key, value))
    };
    match given {
        Given::Object(members) => {
            let known: HashMap<String, Label> =
                known().into_iter().rev().map(|label| (label.to_string(), label)).collect();
            let named = |(key, value): (String, Given)| {
                let key = known.get(&key).cloned().unwrap_or_else(|| Label::from(key));
                let value = convert(value, &format!("{what}[{key}]"))?;
                Ok((key, value))
            };
            members.into_iter().map(named).collect()
        }
        Given::Pairs(members) => members.into_iter().map(read).collect(),
        other => list(other, what)?
            .into_iter()
            .map(|pair| match <[Given; 2]>::try_from(list(pair, what)?) {
                Ok([key, value]) => read((key, value)),
                Err(_) => Err(shape(format!("{what} holds something else than pairs"))),
            })
            .collect(),
    }
}

/// The ratings among the arguments alone. Errors: as [`call`](super::call), and those of [`Ratings::with_options`].
pub fn make(host: Host, given: Given) -> Result<Arc<Ratings>> {
    let mut args = Args::new(host, "the options", given)?;
    let ratings = take(&mut args, Values::Named, true, "form")?;
    args.done()?;
    Ok(ratings)
}

/// What the user is to be told of the table among the arguments, whose form was not given, where it may be the other way round.
pub fn doubt(data: &Given) -> Option<String> {
    match data {
        Given::List(rows) => {
            let columns = match rows.first()? {
                Given::List(row) => row.len(),
                Given::F64(row) => row.len(),
                Given::F32(row) => row.len(),
                Given::Ints(row) => row.len(),
                _ => return None,
            };
            TableForm::doubt(rows.len(), columns)
        }
        _ => None,
    }
}

/// What holds the ratings.
enum Data {
    Made(Arc<Ratings>),
    Columns([Given; 3]),
    Table(Vec<Given>),
}

/// The ratings among the arguments: `data` in any form, or the columns `items`, `raters` and `values`, or `counts` with
/// `categories`; and what can be said about them. `weighted`: whether `weights` are those of raters. `form`: what the option is called
/// that says what the rows of a table are.
pub fn take(args: &mut Args, values: Values, weighted: bool, form: &str) -> Result<Arc<Ratings>> {
    if let Some(counts) = args.maybe("counts", |given, _| Ok(given))? {
        if args.has("data") {
            return Err(Error::invalid("give data or counts, not both"));
        }
        args.take("data");
        return from_counts(counts, args.maybe("categories", labels)?).map(Arc::new);
    }
    let host = args.host();
    let data = data(args)?;
    let said = ["domain", form].into_iter().chain(weighted.then_some("weights")).any(|name| args.has(name));
    let given_form = args.maybe(form, |given, what| typed::read::<TableForm>(host, given, what))?;
    let options = RatingsOptions {
        duplicates: args.typed("duplicates", Duplicates::default())?,
        domain: args.maybe("domain", labels)?,
        form: given_form.unwrap_or_default(),
        ..RatingsOptions::default()
    };
    let weights = if weighted { args.take("weights") } else { Given::Undefined };
    let weighed = |known: &dyn Fn() -> Vec<Label>| {
        let known = || if host == Host::Node { known() } else { Vec::new() };
        let weights = match weights.is_missing() {
            true => Vec::new(),
            false => pairs(weights, "weights", known, number)?,
        };
        Ok::<_, Error>(RatingsOptions { weights, ..options })
    };
    let made = match data {
        Data::Made(_) if said => {
            return Err(Error::invalid("give weights, domain and form when the Ratings are made"));
        }
        Data::Made(made) => return Ok(made),
        Data::Columns(_) if given_form.is_some() => {
            return Err(Error::invalid("form is for a table; three columns say what they are themselves"));
        }
        Data::Columns([items, raters, given]) => {
            let items = Cells::read(items, "items", host, Values::Named)?;
            let raters = Cells::read(raters, "raters", host, Values::Named)?;
            let values = Cells::read(given, "values", host, values)?;
            let options = weighed(&|| raters.labels())?;
            Ratings::with_options(items.column(), raters.column(), values.column(), &options)
        }
        Data::Table(rows) => {
            let (cells, n_rows, n_columns) = table(rows, host, values)?;
            let n_raters = if options.form == TableForm::ItemsByRaters { n_columns } else { n_rows };
            let options = weighed(&|| (0..n_raters as i64).map(Label::from).collect())?;
            Ratings::from_table(cells.column(), n_rows, n_columns, &options)
        }
    };
    made.map(Arc::new)
}

fn data(args: &mut Args) -> Result<Data> {
    match args.take("data") {
        Given::Ratings(made) => Ok(Data::Made(made)),
        Given::Undefined | Given::Null => {
            for names in COLUMNS {
                if names.iter().all(|name| args.has(name)) {
                    return Ok(Data::Columns(names.map(|name| args.take(name))));
                }
            }
            let missing: Vec<&str> = COLUMNS[0].into_iter().filter(|name| !args.has(name)).collect();
            Err(Error::invalid(match missing.len() {
                3 => "there is no data: an array, a table, or three columns are expected".to_owned(),
                _ => format!("{} of the ratings are missing", missing.join(" and ")),
            }))
        }
        Given::Object(members) => {
            let mut members: HashMap<String, Given> = members.into_iter().collect();
            match COLUMNS.into_iter().find(|names| names.iter().all(|name| members.contains_key(*name))) {
                Some(names) => Ok(Data::Columns(names.map(|name| members.remove(name).unwrap_or_default()))),
                None => {
                    let names = members.into_keys().collect();
                    Err(Error::invalid(strange("the table has the columns", names)))
                }
            }
        }
        Given::List(rows) if matches!(rows.first(), Some(Given::Object(_))) => objects(rows),
        Given::List(rows) => Ok(Data::Table(rows)),
        Given::F32(_) | Given::F64(_) | Given::Ints(_) => Err(shape(
            "data has one dimension; rows of ratings are expected (three arrays are named)".to_owned(),
        )),
        other => {
            Err(Error::invalid(format!("data is {}; arrays, a table or a matrix are expected", other.kind())))
        }
    }
}

fn strange(what: &str, mut names: Vec<String>) -> String {
    names.sort();
    names.truncate(8);
    let names: Vec<String> = names.iter().map(|name| shorten(name)).collect();
    format!(
        "{what} {}; expected are items, raters, values (or item, rater, value, or task, worker, label)",
        names.join(", ")
    )
}

/// One object for each rating.
fn objects(rows: Vec<Given>) -> Result<Data> {
    let mut columns: [Vec<Given>; 3] = Default::default();
    let mut names: Option<[&str; 3]> = None;
    for (i, row) in rows.into_iter().enumerate() {
        let Given::Object(members) = row else {
            return Err(Error::invalid(format!("data[{i}] is {}; an object is expected", row.kind())));
        };
        let has = |names: &[&str; 3]| names.iter().all(|name| members.iter().any(|(key, _)| key == name));
        let names = match names.or_else(|| COLUMNS.into_iter().find(has)) {
            Some(found) => *names.insert(found),
            None => {
                let keys = members.into_iter().map(|(key, _)| key).collect();
                return Err(Error::invalid(strange(&format!("data[{i}] has the members"), keys)));
            }
        };
        let mut found: [Given; 3] = Default::default();
        for (key, value) in members {
            if let Some(at) = names.iter().position(|name| *name == key) {
                found[at] = value;
            }
        }
        for (column, value) in columns.iter_mut().zip(found) {
            column.push(value);
        }
    }
    Ok(Data::Columns(columns.map(Given::List)))
}

/// The cells of a table row by row, and its shape.
fn table(rows: Vec<Given>, host: Host, values: Values) -> Result<(Cells, usize, usize)> {
    let n_rows = rows.len();
    let mut n_columns = None;
    let all = |is: fn(&Given) -> bool| !rows.is_empty() && rows.iter().all(is);
    let (floats, ints) = (all(|row| matches!(row, Given::F64(_))), all(|row| matches!(row, Given::Ints(_))));
    // Arrays stay arrays: of a large table each cell would cost more than its number.
    let (mut cells, mut numbers, mut whole) = (Vec::new(), Vec::new(), Vec::new());
    for (i, row) in rows.into_iter().enumerate() {
        let what = format!("data[{i}]");
        if !matches!(row, Given::List(_) | Given::F32(_) | Given::F64(_) | Given::Ints(_)) {
            return Err(shape(format!("{what} is {}; a row of ratings is expected", row.kind())));
        }
        let length = match row {
            Given::F64(row) if floats => {
                numbers.extend_from_slice(&row);
                row.len()
            }
            Given::Ints(row) if ints => {
                whole.extend_from_slice(&row);
                row.len()
            }
            row => {
                let row = list(row, &what)?;
                let length = row.len();
                cells.extend(row);
                length
            }
        };
        let width = *n_columns.get_or_insert(length);
        if length != width {
            return Err(shape(format!("{what} has {length} entries, data[0] has {width}")));
        }
    }
    let cells = match (floats, ints) {
        (true, _) => Given::F64(numbers),
        (_, true) => Given::Ints(whole),
        _ => Given::List(cells),
    };
    Ok((Cells::read(cells, "data", host, values)?, n_rows, n_columns.unwrap_or_default()))
}

fn from_counts(counts: Given, categories: Option<Vec<Label>>) -> Result<Ratings> {
    let counts = list(counts, "counts")?
        .into_iter()
        .enumerate()
        .map(|(i, row)| {
            let row = indices(row, &format!("counts[{i}]"))?;
            row.into_iter()
                .map(|n| u32::try_from(n).map_err(|_| shape(format!("counts[{i}] holds {n}"))))
                .collect()
        })
        .collect::<Result<Vec<Vec<u32>>>>()?;
    let categories = categories
        .unwrap_or_else(|| (0..counts.first().map_or(0, Vec::len) as i64).map(Label::from).collect());
    Ratings::from_counts(&counts, &categories)
}
