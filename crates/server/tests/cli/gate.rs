//! A way to a server that can be held up: a test stops a transfer in the middle without knowing how fast it is.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex, MutexGuard},
    thread,
    time::Duration,
};

/// The longest wait for the gate to be reached.
const DEADLINE: Duration = Duration::from_secs(30);

/// Lets so many bytes of answers through, then none until it is opened.
#[derive(Clone)]
pub(crate) struct Gate {
    pub(crate) address: SocketAddr,
    shared: Arc<(Mutex<u64>, Condvar)>,
}

impl Gate {
    /// A gate before `server`, closed.
    pub(crate) fn before(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let gate = Self { address: listener.local_addr().unwrap(), shared: Arc::default() };
        let passed = gate.clone();
        // Ends with the process.
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = TcpStream::connect(server) else { continue };
                let (mut up, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                thread::spawn(move || {
                    drop(std::io::copy(&mut up, &mut to));
                    drop(to.shutdown(Shutdown::Write));
                });
                let gate = passed.clone();
                thread::spawn(move || gate.pass(server, client));
            }
        });
        gate
    }

    fn left(&self) -> MutexGuard<'_, u64> {
        self.shared.0.lock().unwrap()
    }

    fn pass(&self, mut from: TcpStream, mut to: TcpStream) {
        let mut buffer = [0; 16 << 10];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            let mut left = self.shared.1.wait_while(self.left(), |left| *left == 0).unwrap();
            *left = left.saturating_sub(count as u64);
            drop(left);
            self.shared.1.notify_all();
            if to.write_all(&buffer[..count]).is_err() {
                break;
            }
        }
        drop(to.shutdown(Shutdown::Both));
    }

    /// Lets so many bytes more through.
    pub(crate) fn open_for(&self, bytes: u64) {
        *self.left() = bytes;
        self.shared.1.notify_all();
    }

    /// Waits until it is closed.
    pub(crate) fn wait_until_closed(&self) {
        let (left, waited) = self.shared.1.wait_timeout_while(self.left(), DEADLINE, |left| *left > 0).unwrap();
        assert!(!waited.timed_out(), "{left} bytes are left");
    }
}

/// A way to a server that seems to know no multipart: nobody asks for it there.
pub(crate) fn without_multipart(server: SocketAddr) -> SocketAddr {
    const MULTIPART: &[u8] = b"accept: multipart/mixed";
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // Ends with the process.
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let Ok(server) = TcpStream::connect(server) else { continue };
            let (mut down, mut back) = (server.try_clone().unwrap(), client.try_clone().unwrap());
            thread::spawn(move || {
                drop(std::io::copy(&mut down, &mut back));
                drop(back.shutdown(Shutdown::Both));
            });
            thread::spawn(move || {
                let (mut client, mut server, mut buffer) = (client, server, [0; 16 << 10]);
                while let Ok(count @ 1..) = client.read(&mut buffer) {
                    let sent = &buffer[..count];
                    let place = sent.windows(MULTIPART.len()).position(|some| some.eq_ignore_ascii_case(MULTIPART));
                    let sent = place.map_or(sent.to_vec(), |at| {
                        [&sent[..at], b"accept: application/json", &sent[at + MULTIPART.len()..]].concat()
                    });
                    if server.write_all(&sent).is_err() {
                        break;
                    }
                }
                drop(server.shutdown(Shutdown::Write));
            });
        }
    });
    address
}
