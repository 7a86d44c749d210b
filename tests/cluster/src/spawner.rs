//! A thread whose children end when it does.
//!
//! Linux sends a process the signal it asked for when the thread that made it ends (`PR_SET_PDEATHSIG`). So all servers are started by one
//! thread that does nothing else. It ends with its cluster, or with the process: by its end, by `kill -9`, or by an exit that runs no
//! destructors. Then nothing is left, without a second process that could itself be lost.

use anyhow::{Context, Result};
use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

type Order = (Command, SyncSender<std::io::Result<Child>>);

/// Starts children that do not outlive it.
#[derive(Debug)]
pub(crate) struct Spawner {
    orders: SyncSender<Order>,
}

impl Spawner {
    pub(crate) fn new() -> Result<Self> {
        let (orders, received) = sync_channel(0);
        std::thread::Builder::new().name("servers".to_owned()).spawn(move || serve(&received)).context("cannot start a thread")?;
        Ok(Self { orders })
    }

    /// Starts a child.
    pub(crate) fn spawn(&self, command: Command) -> Result<Child> {
        let (reply, answer) = sync_channel(1);
        let told = command.get_program().to_string_lossy().into_owned();
        let gone = "the thread that starts servers is gone";
        self.orders.send((command, reply)).ok().context(gone)?;
        answer.recv().context(gone)?.with_context(|| format!("cannot start {told}"))
    }
}

/// Runs until there is nobody left to give orders.
fn serve(orders: &Receiver<Order>) {
    while let Ok((mut command, reply)) = orders.recv() {
        end_with_this_thread(&mut command);
        if let Err(unwanted) = reply.send(command.spawn()).map_err(|unsent| unsent.0)
            && let Ok(mut child) = unwanted
        {
            // Whoever wanted it is gone; both calls only fail when it has ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Has the child killed when the thread that starts it ends.
#[allow(unsafe_code)]
fn end_with_this_thread(command: &mut Command) {
    use rustix::process::{Pid, Signal, getpid, getppid, set_parent_process_death_signal};
    use std::os::unix::process::CommandExt;

    let parent: Pid = getpid();
    let before = move || {
        set_parent_process_death_signal(Some(Signal::KILL))?;
        // Had the parent ended before that call, no signal would come.
        if getppid() == Some(parent) { Ok(()) } else { Err(std::io::ErrorKind::BrokenPipe.into()) }
    };
    // SAFETY: between fork and exec only async-signal-safe things may be done. The closure makes two system calls on values that it owns;
    // it takes no lock and allocates nothing (an error of a kind alone is no allocation).
    unsafe { command.pre_exec(before) };
}
