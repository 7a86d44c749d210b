//! What MIT's own reading of krb5.conf says (with its includes, and the system's file where none is named).
//!
//! Bound by hand: a handful of stable functions of `krb5.h` and `profile.h`, whose arguments are opaque pointers and C strings.

use std::ffi::{CStr, CString, c_char, c_int, c_long, c_void};
use std::ptr;

#[link(name = "krb5")]
unsafe extern "C" {
    fn krb5_init_context(context: *mut *mut c_void) -> c_int;
    fn krb5_free_context(context: *mut c_void);
    fn krb5_get_default_realm(context: *mut c_void, realm: *mut *mut c_char) -> c_int;
    fn krb5_free_default_realm(context: *mut c_void, realm: *mut c_char);
    fn krb5_get_profile(context: *mut c_void, profile: *mut *mut c_void) -> c_int;
    fn krb5_get_error_message(context: *mut c_void, code: c_int) -> *const c_char;
    fn krb5_free_error_message(context: *mut c_void, message: *const c_char);
    fn profile_get_values(profile: *mut c_void, names: *const *const c_char, values: *mut *mut *mut c_char) -> c_long;
    fn profile_free_list(list: *mut *mut c_char);
    fn profile_abandon(profile: *mut c_void);
}

/// The configuration as MIT reads it at this moment.
pub(crate) struct Profile {
    context: *mut c_void,
    profile: *mut c_void,
}

impl Profile {
    /// Reads the configuration that the environment points to; an error is in the library's words.
    pub(crate) fn read() -> Result<Self, String> {
        let mut read = Self { context: ptr::null_mut(), profile: ptr::null_mut() };
        // SAFETY: both functions are given a valid place for the pointer they hand out; `Drop` releases what was handed out.
        let code = unsafe { krb5_init_context(&raw mut read.context) };
        if code != 0 {
            return Err(message(code));
        }
        // SAFETY: the context is the one that was just made.
        let code = unsafe { krb5_get_profile(read.context, &raw mut read.profile) };
        if code != 0 {
            return Err(message(code));
        }
        Ok(read)
    }

    /// The default realm, if the configuration (or, if it allows that, DNS) names one.
    pub(crate) fn default_realm(&self) -> Option<String> {
        let mut realm = ptr::null_mut();
        // SAFETY: the context is valid as long as `self`; on success `realm` is a C string of the library's, copied and then given back.
        unsafe {
            if krb5_get_default_realm(self.context, &raw mut realm) != 0 || realm.is_null() {
                return None;
            }
            let copy = CStr::from_ptr(realm).to_string_lossy().into_owned();
            krb5_free_default_realm(self.context, realm);
            Some(copy)
        }
    }

    /// All values at a path of sections, in order.
    pub(crate) fn values(&self, path: &[&str]) -> Vec<String> {
        let Ok(names) = path.iter().map(|name| CString::new(*name)).collect::<Result<Vec<_>, _>>() else { return Vec::new() };
        let mut pointers: Vec<*const c_char> = names.iter().map(|name| name.as_ptr()).collect();
        pointers.push(ptr::null());
        let mut list: *mut *mut c_char = ptr::null_mut();
        let mut values = Vec::new();
        // SAFETY: `pointers` is an array of C strings that ends with null, as the function wants, and outlives the call. The list it answers is an
        // array of C strings that ends with null; it is walked up to that, its texts are copied, and it is given back.
        unsafe {
            if profile_get_values(self.profile, pointers.as_ptr(), &raw mut list) != 0 || list.is_null() {
                return values;
            }
            let mut next = list;
            while !(*next).is_null() {
                values.push(CStr::from_ptr(*next).to_string_lossy().into_owned());
                next = next.add(1);
            }
            profile_free_list(list);
        }
        values
    }
}

impl Drop for Profile {
    fn drop(&mut self) {
        // SAFETY: each is null (nothing to release) or what the library handed out for this value, released once.
        unsafe {
            if !self.profile.is_null() {
                profile_abandon(self.profile);
            }
            if !self.context.is_null() {
                krb5_free_context(self.context);
            }
        }
    }
}

/// The library's words for a number of its error tables.
pub(crate) fn message(code: i32) -> String {
    // SAFETY: the function takes a null context too, and always answers a C string, which is copied and given back.
    unsafe {
        let message = krb5_get_error_message(ptr::null_mut(), code);
        let text = CStr::from_ptr(message).to_string_lossy().into_owned();
        krb5_free_error_message(ptr::null_mut(), message);
        text
    }
}
