//! What did JavaScript give? Any value, copied whole on the JavaScript thread, so that work elsewhere never looks back.

use std::fmt::Write;
use std::ptr::null_mut;

use napi::sys::{self, napi_env, napi_value};
use quorate::{Code, Error, Result};
pub use quorate_bindings::Given;

use crate::errors::{engine, invalid};

/// How deep a value may be nested. A cyclic one is deeper than anything.
const MAX_DEPTH: usize = 64;

/// The most items of an array; typed arrays may have more. An array can say that it is longer than all memory, and hold nothing.
const MAX_ITEMS: u32 = 1 << 24;

/// Copies a value. Codes: `invalid_text` for a lone surrogate, `invalid_argument` for a value that is nested too deep
/// (a cyclic one is), a detached buffer, a BigInt over 64 bits, or a getter that throws, `too_large` for an array of more than
/// 2^24 items.
///
/// `env` and `value` are those of the call that is being served, on its thread.
pub fn read(env: napi_env, value: napi_value, what: &str) -> Result<Given> {
    Reader { env, path: what.to_owned(), depth: 0 }.read(value)
}

struct Reader {
    env: napi_env,
    /// The place of the value that is being read, such as `documents[3].metadata.year`.
    path: String,
    depth: usize,
}

impl Reader {
    /// Fails for a status that is not `napi_ok`, after taking a pending exception away.
    fn check(&self, status: sys::napi_status) -> Result<()> {
        if status == sys::Status::napi_ok {
            return Ok(());
        }
        let mut pending = false;
        // SAFETY: `env` is alive on this thread, and the pointers are to locals.
        let thrown = unsafe {
            sys::napi_is_exception_pending(self.env, &mut pending);
            let mut exception = null_mut();
            pending
                && sys::napi_get_and_clear_last_exception(self.env, &mut exception) == sys::Status::napi_ok
        };
        Err(match thrown {
            true => invalid(format!("{} throws an exception when it is read", self.path)),
            false => engine(format!("{} cannot be read (status {status} of Node-API)", self.path)),
        })
    }

    fn read(&mut self, value: napi_value) -> Result<Given> {
        let mut kind = 0;
        // SAFETY: `env` and `value` belong to the call that is being served; the pointer is to a local.
        self.check(unsafe { sys::napi_typeof(self.env, value, &mut kind) })?;
        Ok(match kind {
            sys::ValueType::napi_undefined => Given::Undefined,
            sys::ValueType::napi_null => Given::Null,
            sys::ValueType::napi_boolean => {
                let mut out = false;
                // SAFETY: as above.
                self.check(unsafe { sys::napi_get_value_bool(self.env, value, &mut out) })?;
                Given::Bool(out)
            }
            sys::ValueType::napi_number => {
                let mut out = 0.0;
                // SAFETY: as above.
                self.check(unsafe { sys::napi_get_value_double(self.env, value, &mut out) })?;
                Given::Number(out)
            }
            sys::ValueType::napi_bigint => {
                let (mut out, mut lossless) = (0, false);
                // SAFETY: as above.
                self.check(unsafe {
                    sys::napi_get_value_bigint_int64(self.env, value, &mut out, &mut lossless)
                })?;
                if lossless {
                    return Ok(Given::Big(out));
                }
                let mut wide = 0;
                // SAFETY: as above.
                self.check(unsafe {
                    sys::napi_get_value_bigint_uint64(self.env, value, &mut wide, &mut lossless)
                })?;
                if !lossless {
                    return Err(invalid(format!("{} is a BigInt that does not fit into 64 bits", self.path)));
                }
                Given::Wide(wide)
            }
            sys::ValueType::napi_string => Given::Text(self.text(value)?),
            sys::ValueType::napi_object => self.object(value)?,
            sys::ValueType::napi_function => Given::Other("a function".into()),
            sys::ValueType::napi_symbol => Given::Other("a symbol".into()),
            _ => Given::Other("a native object".into()),
        })
    }

    fn text(&self, value: napi_value) -> Result<String> {
        let mut length = 0;
        // SAFETY: a null buffer asks for the length; the pointers are to locals.
        self.check(unsafe { sys::napi_get_value_string_utf8(self.env, value, null_mut(), 0, &mut length) })?;
        let mut bytes = vec![0u8; length + 1];
        // SAFETY: the buffer has room for `length` bytes and the NUL that is written after them.
        self.check(unsafe {
            sys::napi_get_value_string_utf8(
                self.env,
                value,
                bytes.as_mut_ptr().cast(),
                length + 1,
                &mut length,
            )
        })?;
        bytes.truncate(length);
        let text = String::from_utf8(bytes).map_err(|_| self.surrogate())?;
        // A lone surrogate has become U+FFFD; only then is it worth to look again.
        if text.contains('\u{fffd}') {
            self.check_surrogates(value)?;
        }
        Ok(text)
    }

    fn check_surrogates(&self, value: napi_value) -> Result<()> {
        let mut length = 0;
        // SAFETY: a null buffer asks for the length; the pointers are to locals.
        self.check(unsafe { sys::napi_get_value_string_utf16(self.env, value, null_mut(), 0, &mut length) })?;
        let mut units = vec![0u16; length + 1];
        // SAFETY: the buffer has room for `length` units and the NUL that is written after them.
        self.check(unsafe {
            sys::napi_get_value_string_utf16(self.env, value, units.as_mut_ptr(), length + 1, &mut length)
        })?;
        match char::decode_utf16(units[..length].iter().copied()).all(|c| c.is_ok()) {
            true => Ok(()),
            false => Err(self.surrogate()),
        }
    }

    fn surrogate(&self) -> Error {
        Error::new(
            Code::InvalidText,
            format!("{} is not valid Unicode (it holds a lone surrogate)", self.path),
        )
    }

    /// The answer of one of Node-API's questions.
    fn is(&self, ask: impl FnOnce(&mut bool) -> sys::napi_status) -> Result<bool> {
        let mut answer = false;
        self.check(ask(&mut answer))?;
        Ok(answer)
    }

    fn object(&mut self, value: napi_value) -> Result<Given> {
        if self.depth == MAX_DEPTH {
            let start: String = self.path.chars().take(80).collect();
            return Err(invalid(format!("{start}... is nested deeper than {MAX_DEPTH} levels, or cyclic")));
        }
        self.depth += 1;
        let out = self.compound(value);
        self.depth -= 1;
        out
    }

    fn compound(&mut self, value: napi_value) -> Result<Given> {
        // SAFETY: `env` and `value` belong to the call that is being served; the pointer is to a local.
        if self.is(|answer| unsafe { sys::napi_is_array(self.env, value, answer) })? {
            return self.list(value);
        }
        // SAFETY: `env` and `value` belong to the call that is being served; the pointer is to a local.
        if self.is(|answer| unsafe { sys::napi_is_typedarray(self.env, value, answer) })? {
            return self.typed(value);
        }
        // SAFETY: `env` and `value` belong to the call that is being served; the pointer is to a local.
        if self.is(|answer| unsafe { sys::napi_is_date(self.env, value, answer) })? {
            return self.date(value);
        }
        // SAFETY: `env` and `value` belong to the call that is being served; the pointer is to a local.
        if self.is(|answer| unsafe { sys::napi_is_promise(self.env, value, answer) })? {
            return Ok(Given::Other("a Promise (await it first)".into()));
        }
        self.members(value)
    }

    fn list(&mut self, value: napi_value) -> Result<Given> {
        let mut length = 0;
        // SAFETY: `value` is an array of this call; the pointer is to a local.
        self.check(unsafe { sys::napi_get_array_length(self.env, value, &mut length) })?;
        bounded(length, &self.path)?;
        let stem = self.path.len();
        let mut items = Vec::new();
        for i in 0..length {
            let mut item = null_mut();
            let _ = write!(self.path, "[{i}]");
            let mut scope = null_mut();
            // SAFETY: the scope is closed before the next one is opened, and no handle of it is kept.
            unsafe { sys::napi_open_handle_scope(self.env, &mut scope) };
            // SAFETY: `value` is an array of this call; the pointer is to a local.
            let status = unsafe { sys::napi_get_element(self.env, value, i, &mut item) };
            let read = self.check(status).and_then(|()| self.read(item));
            // SAFETY: this is the scope that was opened above.
            unsafe { sys::napi_close_handle_scope(self.env, scope) };
            items.push(read?);
            self.path.truncate(stem);
        }
        Ok(Given::List(items))
    }

    fn members(&mut self, value: napi_value) -> Result<Given> {
        let mut names = null_mut();
        // SAFETY: `value` is an object of this call; the pointer is to a local. Keys become strings.
        self.check(unsafe {
            sys::napi_get_all_property_names(
                self.env,
                value,
                sys::KeyCollectionMode::own_only,
                sys::KeyFilter::enumerable | sys::KeyFilter::skip_symbols,
                sys::KeyConversion::numbers_to_strings,
                &mut names,
            )
        })?;
        let mut length = 0;
        // SAFETY: `names` is an array.
        self.check(unsafe { sys::napi_get_array_length(self.env, names, &mut length) })?;
        if length == 0
            && let Some(class) = self.foreign_class(value)?
        {
            return Ok(Given::Other(format!("a {class}")));
        }
        let stem = self.path.len();
        let mut members = Vec::with_capacity(length as usize);
        for i in 0..length {
            let (mut name, mut item) = (null_mut(), null_mut());
            // SAFETY: `names` is an array with more than `i` elements.
            self.check(unsafe { sys::napi_get_element(self.env, names, i, &mut name) })?;
            let key = self.text(name)?;
            let _ = write!(self.path, ".{key}");
            // SAFETY: `value` and `name` are values of this call; the pointer is to a local.
            let status = unsafe { sys::napi_get_property(self.env, value, name, &mut item) };
            self.check(status)?;
            let read = self.read(item)?;
            self.path.truncate(stem);
            members.push((key, read));
        }
        Ok(Given::Object(members))
    }

    /// The name of an object's class, if it is neither plain nor without a prototype: its content is not in members.
    fn foreign_class(&mut self, value: napi_value) -> Result<Option<String>> {
        let (mut class, mut name) = (null_mut(), null_mut());
        let mut kind = 0;
        // SAFETY: `value` is an object of this call; the pointers are to locals and to literals with a NUL.
        self.check(unsafe {
            sys::napi_get_named_property(self.env, value, c"constructor".as_ptr(), &mut class)
        })?;
        // SAFETY: as above.
        self.check(unsafe { sys::napi_typeof(self.env, class, &mut kind) })?;
        if kind != sys::ValueType::napi_function {
            return Ok(None);
        }
        // SAFETY: as above.
        self.check(unsafe { sys::napi_get_named_property(self.env, class, c"name".as_ptr(), &mut name) })?;
        // SAFETY: as above.
        self.check(unsafe { sys::napi_typeof(self.env, name, &mut kind) })?;
        if kind != sys::ValueType::napi_string {
            return Ok(None);
        }
        let name = self.text(name)?;
        Ok((name != "Object").then_some(name))
    }

    /// A date as RFC 3339 text.
    fn date(&mut self, value: napi_value) -> Result<Given> {
        let (mut method, mut text, mut ms) = (null_mut(), null_mut(), 0.0);
        // SAFETY: `value` is a Date of this call; the pointers are to locals and to a literal with a NUL.
        self.check(unsafe { sys::napi_get_date_value(self.env, value, &mut ms) })?;
        if ms.is_nan() {
            return Err(invalid(format!("{} is an invalid Date", self.path)));
        }
        // SAFETY: as above.
        self.check(unsafe {
            sys::napi_get_named_property(self.env, value, c"toISOString".as_ptr(), &mut method)
        })?;
        // SAFETY: as above; the call takes no arguments.
        self.check(unsafe {
            sys::napi_call_function(self.env, value, method, 0, std::ptr::null(), &mut text)
        })?;
        self.text(text).map(Given::Date)
    }

    fn typed(&mut self, value: napi_value) -> Result<Given> {
        let (mut kind, mut length, mut data, mut buffer, mut offset) = (0, 0, null_mut(), null_mut(), 0);
        // SAFETY: `value` is a typed array of this call; the pointers are to locals.
        self.check(unsafe {
            sys::napi_get_typedarray_info(
                self.env,
                value,
                &mut kind,
                &mut length,
                &mut data,
                &mut buffer,
                &mut offset,
            )
        })?;
        let mut detached = false;
        // SAFETY: `buffer` is the array's buffer; a SharedArrayBuffer is never detached, whatever the status says.
        unsafe { sys::napi_is_detached_arraybuffer(self.env, buffer, &mut detached) };
        if detached {
            return Err(invalid(format!(
                "{} is a typed array over a detached buffer; its numbers are gone",
                self.path
            )));
        }
        // SAFETY: Node-API gives the address and the number of elements of this type, which stay while the call lasts.
        unsafe fn copy<T: Copy>(data: *mut std::ffi::c_void, length: usize) -> Vec<T> {
            if length == 0 || data.is_null() {
                return Vec::new();
            }
            let mut out = Vec::<T>::with_capacity(length);
            // SAFETY: as said above; the vector has room for `length` elements.
            unsafe {
                std::ptr::copy_nonoverlapping(data.cast::<T>(), out.as_mut_ptr(), length);
                out.set_len(length);
            }
            out
        }
        fn wide<T: Into<i64>>(numbers: Vec<T>) -> Given {
            Given::Ints(numbers.into_iter().map(Into::into).collect())
        }
        // SAFETY (all below): the type of the elements is the one that Node-API names.
        Ok(match kind {
            sys::TypedarrayType::float32_array => Given::F32(unsafe { copy(data, length) }),
            sys::TypedarrayType::float64_array => Given::F64(unsafe { copy(data, length) }),
            sys::TypedarrayType::int8_array => wide(unsafe { copy::<i8>(data, length) }),
            sys::TypedarrayType::uint8_array | sys::TypedarrayType::uint8_clamped_array => {
                wide(unsafe { copy::<u8>(data, length) })
            }
            sys::TypedarrayType::int16_array => wide(unsafe { copy::<i16>(data, length) }),
            sys::TypedarrayType::uint16_array => wide(unsafe { copy::<u16>(data, length) }),
            sys::TypedarrayType::int32_array => wide(unsafe { copy::<i32>(data, length) }),
            sys::TypedarrayType::uint32_array => wide(unsafe { copy::<u32>(data, length) }),
            sys::TypedarrayType::bigint64_array => Given::Ints(unsafe { copy(data, length) }),
            _ => Given::Other("a typed array of this kind".into()),
        })
    }
}

fn bounded(length: u32, what: &str) -> Result<()> {
    if length <= MAX_ITEMS {
        return Ok(());
    }
    Err(Error::new(
        Code::TooLarge,
        format!("{what} has {length} items; at most {MAX_ITEMS} are taken, of typed arrays more"),
    ))
}

/// Copies the items of an array one by one, each with an error of its own; `first` is the place of the first one for
/// messages. Errors: `invalid_argument` for anything but an array.
pub fn read_items(env: napi_env, value: napi_value, what: &str, first: usize) -> Result<Vec<Result<Given>>> {
    let mut reader = Reader { env, path: what.to_owned(), depth: 0 };
    // SAFETY: `env` and `value` belong to the call that is being served; the pointer is to a local.
    if !reader.is(|answer| unsafe { sys::napi_is_array(env, value, answer) })? {
        let kind = reader.read(value)?.kind();
        return Err(invalid(format!("{what} is {kind}; an array is expected")));
    }
    let mut length = 0;
    // SAFETY: `value` is an array of this call; the pointer is to a local.
    reader.check(unsafe { sys::napi_get_array_length(env, value, &mut length) })?;
    bounded(length, what)?;
    let item = |i| {
        let mut item = null_mut();
        reader.path = format!("{what}[{}]", first + i as usize);
        // SAFETY: as above.
        reader.check(unsafe { sys::napi_get_element(env, value, i, &mut item) })?;
        reader.read(item)
    };
    Ok((0..length).map(item).collect())
}
