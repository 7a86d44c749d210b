//! A way to the NameNode that can lose one call, before or after it is done. Requests go over it as they are (their protection is
//! `authentication`), so a call is known by the name of its method, which has its length in front.

use anyhow::{Context, Result};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

/// What is lost of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lost {
    /// All of it: it is not done.
    Request,
    /// Its answer: it is done.
    Answer,
}

type Armed = Arc<Mutex<Option<(&'static str, Lost)>>>;

/// The way; it is there for as long as the process.
pub(crate) struct Lossy {
    pub(crate) port: u16,
    armed: Armed,
}

impl Lossy {
    pub(crate) fn to(address: &str) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let (port, armed, address) = (listener.local_addr()?.port(), Armed::default(), address.to_owned());
        let shared = armed.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // A client that cannot be served sees its connection end.
                let _ = serve(client, &address, &shared);
            }
        });
        Ok(Self { port, armed })
    }

    /// Loses the next call of a method, with all that is on its connection.
    pub(crate) fn lose(&self, method: &'static str, lost: Lost) {
        *self.armed.lock().unwrap_or_else(PoisonError::into_inner) = Some((method, lost));
    }

    /// Whether it was lost.
    pub(crate) fn has_lost(&self) -> bool {
        self.armed.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }
}

fn serve(client: TcpStream, address: &str, armed: &Armed) -> Result<()> {
    let server = TcpStream::connect(address).context("no NameNode")?;
    let answer_lost = Arc::new(Mutex::new(false));
    let (armed, lose_answer) = (armed.clone(), answer_lost.clone());
    pipe(client.try_clone()?, server.try_clone()?, move |request| {
        let mut armed = armed.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((_, lost)) = armed.take_if(|(method, _)| calls(request, method)) else { return true };
        *lose_answer.lock().unwrap_or_else(PoisonError::into_inner) = lost == Lost::Answer;
        lost == Lost::Answer
    });
    pipe(server, client, move |_| !*answer_lost.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(())
}

fn calls(request: &[u8], method: &str) -> bool {
    let length = u8::try_from(method.len()).unwrap_or_default();
    let name = [&[length], method.as_bytes()].concat();
    request.windows(name.len()).any(|part| part == name)
}

/// Passes on what comes, for as long as `goes_on` says; then both connections end.
fn pipe(mut from: TcpStream, mut to: TcpStream, goes_on: impl Fn(&[u8]) -> bool + Send + 'static) {
    std::thread::spawn(move || {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(n @ 1..) = from.read(&mut buffer) {
            if !goes_on(&buffer[..n]) || to.write_all(&buffer[..n]).is_err() {
                break;
            }
        }
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    });
}
