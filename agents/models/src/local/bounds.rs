//! How is a template kept from growing without end?
//!
//! A template comes with the model and is a program. It is compiled as minijinja compiles it, and each step that makes a
//! value, or writes, is then put through a filter that counts: what one rendering makes, how long each text is and how
//! deep each value.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use minijinja::machinery::{
    CodeGenerator, Instruction, Instructions, Span, Token, WhitespaceConfig, parse, tokenize,
};
use minijinja::value::{Object, Rest, Value as Jinja, ValueKind};
use minijinja::{Environment, Error, ErrorKind, State, filters};

use super::written::{MAX_BYTES, TOO_LONG, Text, write_value};

/// The longest template. Those of published models have 100 KB at most.
pub(super) const MAX_SOURCE: usize = 1 << 20;

/// The most words of one tag, and blocks in each other: the compiler goes down into both.
const MAX_WORDS: usize = 2_000;
const MAX_BLOCKS: usize = 100;

/// What one rendering may make, in bytes, freed or not.
const MAX_MADE: usize = 1 << 30;

/// What an item of a list takes beside its text.
const ITEM: usize = 32;

/// The deepest value, what a value may hold in bytes (what it holds twice counts twice, since it is written twice), and the
/// most items that are looked through in one rendering.
const MAX_DEPTH: usize = 64;
const MAX_HELD: usize = 2 * MAX_BYTES;
const MAX_SEEN: usize = 50_000_000;

/// How long one rendering may take; what only looks at long texts makes nothing.
const MAX_TIME: Duration = Duration::from_secs(10);

/// The longest list that `batch` and `slice` make, and width of a format.
const MAX_WIDTH: usize = 100_000;

/// A number that is no constant, so that no product is reckoned before it is counted.
const ONE: &str = "quorate_one";

const SETTLED: &str = "quorate:settled";
const STORED: &str = "quorate:stored";
const PLUS: &str = "quorate:+";
const TIMES: &str = "quorate:*";
const JOINED: &str = "quorate:~";
const TIMED: &str = "quorate:timed";

fn refused(message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::InvalidOperation, message)
}

/// The source in a form that [`compile`] reads. Errors where it is larger or deeper than any template.
pub(super) fn prepare(source: &str) -> Result<String, Error> {
    if source.len() > MAX_SOURCE {
        return Err(refused(format!("it has {} bytes, more than {MAX_SOURCE}", source.len())));
    }
    let (mut out, mut copied, mut words) = (String::with_capacity(source.len()), 0, 0);
    let (mut blocks, mut captures) = (Vec::new(), false);
    let mut before: Option<Token<'_>> = None;
    for item in tokenize(source, false, Default::default(), WHITE) {
        let (token, span): (Token<'_>, Span) = item?;
        words += 1;
        match &token {
            Token::VariableStart | Token::BlockStart => words = 0,
            // Those after `(` and `,` hand over a list.
            Token::Mul if !matches!(before, Some(Token::ParenOpen | Token::Comma)) => {
                let end = span.end_offset as usize;
                out.push_str(source.get(copied..end).unwrap_or_default());
                out.push_str(&format!(" {ONE} *"));
                copied = end;
            }
            Token::Ident(name) if matches!(before, Some(Token::BlockStart)) => match *name {
                "for" | "if" | "with" | "macro" | "call" | "filter" | "autoescape" | "block" => {
                    blocks.push(*name)
                }
                "set" => captures = true,
                "elif" => blocks.push("elif"),
                name => {
                    if let Some(opened) = name.strip_prefix("end") {
                        let at = blocks.iter().rposition(|block| *block == opened);
                        blocks.truncate(at.unwrap_or(blocks.len()));
                    }
                }
            },
            // `set` opens a block where nothing is assigned.
            Token::Assign => captures = false,
            Token::BlockEnd if std::mem::take(&mut captures) => blocks.push("set"),
            _ => {}
        }
        if words > MAX_WORDS || blocks.len() > MAX_BLOCKS {
            return Err(refused("a part of it is longer or deeper than in any chat template"));
        }
        before = Some(token);
    }
    out.push_str(source.get(copied..).unwrap_or_default());
    Ok(out)
}

const WHITE: WhitespaceConfig =
    WhitespaceConfig { keep_trailing_newline: false, lstrip_blocks: true, trim_blocks: true };

/// The steps of a template, each that makes something counted.
pub(super) fn compile(source: &str) -> Result<Instructions<'_>, Error> {
    let parsed = parse(source, "chat", Default::default(), WHITE)?;
    let mut generator = CodeGenerator::new("chat", source);
    generator.compile_stmt(&parsed);
    let (plain, blocks) = generator.finish();
    if !blocks.is_empty() {
        return Err(refused("it is made of several templates"));
    }
    let steps: Vec<Vec<Instruction<'_>>> =
        (0..plain.len() as u32).filter_map(|at| plain.get(at)).map(counted).collect::<Result<_, _>>()?;
    // Where each of the steps is now; jumps may go behind the last.
    let mut places = vec![0];
    for step in &steps {
        places.push(places[places.len() - 1] + step.len() as u32);
    }
    let moved = |at: u32| places.get(at as usize).copied().unwrap_or(u32::MAX);
    let mut out = Instructions::new("chat", source);
    for (at, step) in (0u32..).zip(steps) {
        let line = plain.get_line(at).and_then(|line| u16::try_from(line).ok()).unwrap_or_default();
        for instruction in step {
            let instruction = match instruction {
                Instruction::Iterate(to) => Instruction::Iterate(moved(to)),
                Instruction::Jump(to) => Instruction::Jump(moved(to)),
                Instruction::JumpIfFalse(to) => Instruction::JumpIfFalse(moved(to)),
                Instruction::JumpIfFalseOrPop(to) => Instruction::JumpIfFalseOrPop(moved(to)),
                Instruction::JumpIfTrueOrPop(to) => Instruction::JumpIfTrueOrPop(moved(to)),
                Instruction::BuildMacro(name, from, flags) => {
                    Instruction::BuildMacro(name, moved(from), flags)
                }
                other => other,
            };
            out.add_with_line(instruction, line);
        }
    }
    Ok(out)
}

fn counted<'a>(step: &Instruction<'a>) -> Result<Vec<Instruction<'a>>, Error> {
    let filter = |name, n| Instruction::ApplyFilter(name, Some(n), !0);
    Ok(match step {
        Instruction::Add => vec![filter(PLUS, 2)],
        Instruction::Mul => vec![filter(TIMES, 2)],
        Instruction::StringConcat => vec![filter(JOINED, 2)],
        Instruction::EmitRaw(text) => {
            vec![Instruction::LoadConst(Jinja::from_safe_string((*text).to_owned())), Instruction::Emit]
        }
        // Of nothing minijinja takes the remainder by 0.
        Instruction::CallMethod("cycle", None | Some(0 | 1)) => {
            return Err(refused("cycle() has nothing to give"));
        }
        Instruction::Slice
        | Instruction::BuildList(_)
        | Instruction::BuildMap(_)
        | Instruction::CallFunction(..)
        | Instruction::CallMethod(..)
        | Instruction::CallObject(_)
        | Instruction::EndCapture => vec![step.clone(), filter(SETTLED, 1)],
        Instruction::Iterate(_) => {
            let time = Instruction::LoadConst(Jinja::from(0));
            vec![time, filter(TIMED, 1), Instruction::DiscardTop, step.clone()]
        }
        Instruction::SetAttr(_) => {
            vec![Instruction::Swap, filter(STORED, 1), Instruction::Swap, step.clone()]
        }
        Instruction::CallBlock(_)
        | Instruction::LoadBlocks
        | Instruction::Include(_)
        | Instruction::ExportLocals => {
            return Err(refused("it is made of several templates"));
        }
        other => vec![other.clone()],
    })
}

/// What one rendering has made so far.
#[derive(Debug)]
struct Count {
    since: Instant,
    made: AtomicUsize,
    seen: AtomicUsize,
}

impl Object for Count {}

fn count(state: &State<'_, '_>) -> Arc<Count> {
    state.get_or_set_temp_object("quorate count", || Count {
        since: Instant::now(),
        made: AtomicUsize::new(0),
        seen: AtomicUsize::new(0),
    })
}

impl Count {
    fn make(&self, bytes: usize) -> Result<(), Error> {
        let made = self.made.fetch_add(bytes, Ordering::Relaxed);
        if bytes > MAX_MADE || made > MAX_MADE - bytes {
            return Err(refused("it makes more than 1 GiB of texts and lists"));
        }
        Ok(())
    }

    fn time(&self) -> Result<(), Error> {
        match self.since.elapsed() > MAX_TIME {
            true => Err(refused("it takes too long")),
            false => Ok(()),
        }
    }

    fn text(&self, bytes: usize) -> Result<(), Error> {
        if bytes > MAX_BYTES {
            return Err(refused(TOO_LONG));
        }
        self.make(bytes)
    }

    /// Looks through a value: how deep it is, how much it holds, and that what it holds can be looked through. `left` is
    /// what it may yet hold.
    fn look(&self, value: &Jinja, depth: usize, left: &mut usize) -> Result<(), Error> {
        let size = ITEM + value.as_str().map_or(0, str::len);
        *left = left.checked_sub(size).ok_or_else(|| refused("a value holds more than 128 MiB"))?;
        let Some(object) = value.as_object() else { return Ok(()) };
        if self.seen.fetch_add(1, Ordering::Relaxed) > MAX_SEEN {
            return Err(refused("it looks through too many values"));
        }
        if depth > MAX_DEPTH {
            return Err(refused("a value is nested too deeply"));
        }
        let kind = value.kind();
        if depth > 0 {
            // A namespace in a namespace could hold itself; a loop or a macro holds what nobody sees.
            let name = object.type_name();
            if ["::Namespace", "::Loop", "::Macro", "::Closure"].iter().any(|end| name.ends_with(end)) {
                return Err(refused("a namespace, a loop or a macro is kept in a value"));
            }
        }
        match kind {
            ValueKind::Map => {
                for (key, value) in object.try_iter_pairs().into_iter().flatten() {
                    self.look(&key, depth + 1, left)?;
                    self.look(&value, depth + 1, left)?;
                }
            }
            ValueKind::Seq | ValueKind::Iterable => {
                for item in object.try_iter().into_iter().flatten() {
                    self.look(&item, depth + 1, left)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// A value that was made.
    fn settle(&self, value: Jinja) -> Result<Jinja, Error> {
        self.time()?;
        match value.kind() {
            ValueKind::String => self.text(value.as_str().unwrap_or_default().len())?,
            ValueKind::Bytes => self.text(value.as_bytes().unwrap_or_default().len())?,
            ValueKind::Map => {
                self.make(ITEM.saturating_mul(value.len().unwrap_or_default()))?;
                self.look(&value, 0, &mut { MAX_HELD })?;
            }
            // What would be made later is made now, as Python does.
            ValueKind::Iterable | ValueKind::Seq => {
                let list = self.list(value)?;
                self.look(&list, 0, &mut { MAX_HELD })?;
                return Ok(list);
            }
            _ => {}
        }
        Ok(value)
    }

    fn list(&self, value: Jinja) -> Result<Jinja, Error> {
        if value.as_object().is_some_and(|object| object.is::<Vec<Jinja>>()) {
            self.make(ITEM.saturating_mul(value.len().unwrap_or_default()))?;
            return Ok(value);
        }
        let mut list = Vec::new();
        for item in value.try_iter()? {
            self.make(ITEM)?;
            list.push(item);
        }
        Ok(Jinja::from(list))
    }
}

/// Counts what is written.
pub(super) fn write(state: &State<'_, '_>, bytes: usize) -> Result<(), Error> {
    count(state).make(bytes)
}

/// A method of a text, list or map, as Python has it.
pub(super) fn method(
    state: &State<'_, '_>,
    value: &Jinja,
    name: &str,
    args: &[Jinja],
) -> Result<Jinja, Error> {
    let plain =
        |args: &[Jinja]| minijinja_contrib::pycompat::unknown_method_callback(state, value, name, args);
    let Some(text) = value.as_str() else { return plain(args) };
    match (name, args) {
        ("join", [list]) => {
            let list = texts(state, list, text.len())?;
            plain(&[list])
        }
        ("replace", [from, to, ..]) => {
            fits_replacing(text, from, to)?;
            plain(args)
        }
        ("format", _) => {
            fits_format(text, args)?;
            plain(args)
        }
        // minijinja would look for it without end.
        ("count", [none]) if none.as_str() == Some("") => Ok(Jinja::from(text.chars().count() + 1)),
        ("split" | "splitlines", _) => {
            fits_pieces(state, text, args.first())?;
            plain(args)
        }
        _ => plain(args),
    }
}

/// Whether a text with all that is replaced in it is not too long.
fn fits_replacing(text: &str, from: &Jinja, to: &Jinja) -> Result<(), Error> {
    let (from, to) = (as_text(from)?, as_text(to)?);
    let times = if from.is_empty() { text.len() + 1 } else { text.matches(from.as_str()).count() };
    Text::default().room(times.saturating_mul(to.len()).saturating_add(text.len()))
}

/// The pieces that a text is cut into.
fn fits_pieces(state: &State<'_, '_>, text: &str, cut: Option<&Jinja>) -> Result<(), Error> {
    let pieces = match cut.and_then(Jinja::as_str) {
        Some("") => text.len(),
        Some(cut) => text.matches(cut).count(),
        None => text.split_whitespace().count(),
    };
    count(state).make(ITEM.saturating_mul(pieces))
}

/// Whether what a format makes of values is not too long.
fn fits_format(format: &str, args: &[Jinja]) -> Result<(), Error> {
    let digits = format.split(|c: char| !c.is_ascii_digit()).filter(|digits| !digits.is_empty());
    let mut longest = digits.map(|digits| digits.parse().unwrap_or(usize::MAX)).max().unwrap_or(0);
    let mut values = Vec::new();
    for arg in args {
        match arg.is_kwargs() {
            true => {
                values.extend(arg.try_iter()?.map(|key| arg.get_item(&key)).collect::<Result<Vec<_>, _>>()?)
            }
            false => values.push(arg.clone()),
        }
    }
    for value in values {
        // `%*s` takes its width from a value.
        let width = match value.kind() {
            ValueKind::Number if format.contains('*') => {
                i128::try_from(value.clone()).map_or(u128::MAX, i128::unsigned_abs)
            }
            _ => 0,
        };
        longest = longest.max(as_text(&value)?.len()).max(usize::try_from(width).unwrap_or(usize::MAX));
    }
    let holes = format.matches(['%', '{']).count();
    Text::default().room(holes.saturating_mul(longest).saturating_add(format.len()))
}

fn as_text(value: &Jinja) -> Result<String, Error> {
    let mut out = Text::default();
    write_value(value, &mut out)?;
    Ok(out.0)
}

/// The items of a list as texts that fit into one, with `between` bytes between two.
fn texts(state: &State<'_, '_>, list: &Jinja, between: usize) -> Result<Jinja, Error> {
    let (mut out, mut room) = (Vec::new(), MAX_BYTES);
    for item in list.try_iter()? {
        count(state).make(ITEM)?;
        let text = match item.as_object() {
            Some(_) => Jinja::from(as_text(&item)?),
            None => item,
        };
        let length = text.as_str().map_or(24, str::len).saturating_add(between);
        room = room.checked_sub(length).ok_or_else(|| refused(TOO_LONG))?;
        out.push(text);
    }
    Ok(Jinja::from(out))
}

/// `+`: of numbers, texts and lists.
fn plus(state: &State<'_, '_>, a: &Jinja, b: &Jinja) -> Result<Jinja, Error> {
    let list = |v: &Jinja| matches!(v.kind(), ValueKind::Seq | ValueKind::Iterable);
    if let (Some(a), Some(b)) = (a.as_str(), b.as_str()) {
        count(state).text(a.len() + b.len())?;
        return Ok(Jinja::from([a, b].concat()));
    }
    if list(a) && list(b) {
        let mut out = Vec::new();
        for item in a.try_iter()?.chain(b.try_iter()?) {
            count(state).make(ITEM)?;
            out.push(item);
        }
        return Ok(Jinja::from(out));
    }
    numbers(a, b, i128::checked_add, |a, b| a + b).ok_or_else(|| impossible("+", a, b))
}

/// `*`: of numbers, and of a text or a list with a number.
fn times(state: &State<'_, '_>, a: &Jinja, b: &Jinja) -> Result<Jinja, Error> {
    for (many, n) in [(a, b), (b, a)] {
        if let Some(text) = many.as_str() {
            let n = n.as_usize().ok_or_else(|| impossible("*", a, b))?;
            count(state).text(text.len().saturating_mul(n))?;
            return Ok(Jinja::from(text.repeat(n)));
        }
        if matches!(many.kind(), ValueKind::Seq | ValueKind::Iterable) {
            let n = n.as_usize().ok_or_else(|| impossible("*", a, b))?;
            let once: Vec<Jinja> = many.try_iter()?.collect();
            count(state).make(ITEM.saturating_mul(once.len()).saturating_mul(n))?;
            return Ok(Jinja::from(std::iter::repeat_n(once, n).flatten().collect::<Vec<_>>()));
        }
    }
    numbers(a, b, i128::checked_mul, |a, b| a * b).ok_or_else(|| impossible("*", a, b))
}

fn numbers(
    a: &Jinja,
    b: &Jinja,
    whole: impl Fn(i128, i128) -> Option<i128>,
    real: impl Fn(f64, f64) -> f64,
) -> Option<Jinja> {
    let is_real = |v: &Jinja| v.kind() == ValueKind::Number && !v.is_integer();
    let is_number = |v: &Jinja| matches!(v.kind(), ValueKind::Number | ValueKind::Bool);
    if !is_number(a) || !is_number(b) {
        return None;
    }
    if is_real(a) || is_real(b) {
        let float = |v: &Jinja| match v.kind() {
            ValueKind::Bool => Some(f64::from(u8::from(v.is_true()))),
            _ => f64::try_from(v.clone()).ok(),
        };
        return Some(Jinja::from(real(float(a)?, float(b)?)));
    }
    let n = whole(i128::try_from(a.clone()).ok()?, i128::try_from(b.clone()).ok()?)?;
    Some(i64::try_from(n).map_or_else(|_| Jinja::from(n), Jinja::from))
}

fn impossible(sign: &str, a: &Jinja, b: &Jinja) -> Error {
    refused(format!("{sign} cannot be used on values of the types {} and {}", a.kind(), b.kind()))
}

/// Makes the filters of an environment, and what [`compile`] puts in, count.
pub(super) fn bind(environment: &mut Environment<'static>) {
    environment.add_global(ONE, 1);
    // Writes down all that a template has.
    environment.add_function("debug", || Err::<Jinja, _>(refused("there is no debug()")));
    environment.add_filter(SETTLED, |state: &State<'_, '_>, value: Jinja| count(state).settle(value));
    environment.add_filter(TIMED, |state: &State<'_, '_>, value: Jinja| {
        count(state).time()?;
        Ok::<_, Error>(value)
    });
    // That of minijinja panics where the divisor is 0.
    environment.add_test("divisibleby", |a: &Jinja, b: &Jinja| {
        let rest = numbers(a, b, |a, b| (b != 0).then(|| a.wrapping_rem(b)), |a, b| a % b);
        rest == Some(Jinja::from(0))
    });
    environment.add_filter(STORED, |state: &State<'_, '_>, value: Jinja| {
        count(state).look(&value, 1, &mut { MAX_HELD })?;
        Ok::<_, Error>(value)
    });
    environment.add_filter(PLUS, |state: &State<'_, '_>, a: &Jinja, b: &Jinja| plus(state, a, b));
    environment.add_filter(TIMES, |state: &State<'_, '_>, a: &Jinja, b: &Jinja| times(state, a, b));
    environment.add_filter(JOINED, |state: &State<'_, '_>, a: &Jinja, b: &Jinja| {
        let mut out = Text::default();
        write_value(a, &mut out)?;
        write_value(b, &mut out)?;
        count(state).settle(Jinja::from(out.0))
    });
    for name in ["string", "pprint"] {
        environment.add_filter(name, |state: &State<'_, '_>, value: Jinja| match value.as_str() {
            Some(_) => Ok(value),
            None => count(state).settle(Jinja::from(as_text(&value)?)),
        });
    }
    type Fits = fn(&State<'_, '_>, &mut Vec<Jinja>) -> Result<(), Error>;
    let any: Fits = |_, _| Ok(());
    // Of a list the filter of a text takes what Python prints.
    let said: Fits = |_, args| match args.first_mut() {
        Some(value) if value.as_object().is_some() => {
            *value = Jinja::from(as_text(value)?);
            Ok(())
        }
        _ => Ok(()),
    };
    let letters: Fits = |state, args| match args.first().and_then(Jinja::as_str) {
        Some(text) => count(state).make(ITEM * text.len()),
        None => Ok(()),
    };
    let wide: Fits = |state, args| match args.get(1).and_then(Jinja::as_usize) {
        Some(n) if n > MAX_WIDTH => Err(refused(TOO_LONG)),
        _ => match args.first().and_then(Jinja::as_str) {
            Some(text) => count(state).make(ITEM * text.len()),
            None => Ok(()),
        },
    };
    let numbers: Fits = |_, args| {
        for item in args.first().map(Jinja::try_iter).transpose()?.into_iter().flatten() {
            if !matches!(item.kind(), ValueKind::Number | ValueKind::Bool | ValueKind::Undefined) {
                return Err(refused("sum takes numbers"));
            }
        }
        Ok(())
    };
    let pieces: Fits = |state, args| match args.first().and_then(Jinja::as_str) {
        Some(text) => fits_pieces(state, text, args.get(1)),
        None => Ok(()),
    };
    let replace: Fits = |_, args| match args.as_slice() {
        [text, from, to, ..] => fits_replacing(&as_text(text)?, from, to),
        _ => Ok(()),
    };
    let join: Fits = |state, args| {
        if let [list, rest @ ..] = args.as_mut_slice() {
            let between = rest.first().and_then(Jinja::as_str).map_or(0, str::len);
            *list = texts(state, list, between)?;
        }
        Ok(())
    };
    let format: Fits = |_, args| {
        let [text, rest @ ..] = args.as_slice() else { return Ok(()) };
        fits_format(&as_text(text)?, rest)
    };
    // Jinja in Python has neither; what they make is a chain that nobody sees the end of.
    environment.remove_filter("chain");
    environment.remove_filter("zip");
    let all: [(&str, Jinja, Fits); 40] = [
        ("safe", Jinja::from_function(filters::safe), any),
        ("escape", Jinja::from_function(filters::escape), any),
        ("e", Jinja::from_function(filters::escape), any),
        ("lower", Jinja::from_function(filters::lower), said),
        ("upper", Jinja::from_function(filters::upper), said),
        ("title", Jinja::from_function(filters::title), said),
        ("capitalize", Jinja::from_function(filters::capitalize), said),
        ("trim", Jinja::from_function(filters::trim), said),
        ("tojson", Jinja::from_function(super::written::to_json), any),
        ("indent", Jinja::from_function(super::written::indent), any),
        ("replace", Jinja::from_function(filters::replace), replace),
        ("join", Jinja::from_function(filters::join), join),
        ("format", Jinja::from_function(filters::format), format),
        ("split", Jinja::from_function(filters::split), pieces),
        ("lines", Jinja::from_function(filters::lines), pieces),
        ("sum", Jinja::from_function(filters::sum), numbers),
        ("batch", Jinja::from_function(filters::batch), wide),
        ("slice", Jinja::from_function(filters::slice), wide),
        ("list", Jinja::from_function(filters::list), letters),
        ("sort", Jinja::from_function(filters::sort), letters),
        ("unique", Jinja::from_function(filters::unique), letters),
        ("reverse", Jinja::from_function(filters::reverse), any),
        ("map", Jinja::from_function(filters::map), letters),
        ("select", Jinja::from_function(filters::select), letters),
        ("reject", Jinja::from_function(filters::reject), letters),
        ("selectattr", Jinja::from_function(filters::selectattr), letters),
        ("rejectattr", Jinja::from_function(filters::rejectattr), letters),
        ("groupby", Jinja::from_function(filters::groupby), letters),
        ("items", Jinja::from_function(filters::items), any),
        ("dictsort", Jinja::from_function(filters::dictsort), any),
        ("default", Jinja::from_function(filters::default), any),
        ("d", Jinja::from_function(filters::default), any),
        ("first", Jinja::from_function(filters::first), any),
        ("last", Jinja::from_function(filters::last), any),
        ("min", Jinja::from_function(filters::min), any),
        ("max", Jinja::from_function(filters::max), any),
        ("attr", Jinja::from_function(filters::attr), any),
        ("round", Jinja::from_function(filters::round), any),
        ("int", Jinja::from_function(filters::int), any),
        ("float", Jinja::from_function(filters::float), any),
    ];
    for (name, filter, fits) in all {
        environment.add_filter(name, move |state: &State<'_, '_>, args: Rest<Jinja>| {
            let mut args = args.0;
            fits(state, &mut args)?;
            count(state).settle(filter.call(state, &args)?)
        });
    }
}
