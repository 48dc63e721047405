//! Records between two ends whose secrets are known; a failure prints the seed that repeats it. That others understand them is tested with Node's
//! TLS and openssl (test/unit/wire/tls-link.test.ts).
use super::*;
use rustls::crypto::cipher::{AeadKey, Iv};

/// Secrets by number, so that both ends go on alike.
fn secrets(number: u8) -> ConnectionTrafficSecrets {
    ConnectionTrafficSecrets::Chacha20Poly1305 { key: AeadKey::from([number; 32]), iv: Iv::from([number; 12]) }
}

struct Counted {
    sending: u8,
    receiving: u8,
    client: bool,
}

impl Refresh for Counted {
    fn next_sending(&mut self) -> Result<ConnectionTrafficSecrets, Error> {
        self.sending = self.sending.wrapping_add(2);
        Ok(secrets(self.sending))
    }
    fn next_receiving(&mut self) -> Result<ConnectionTrafficSecrets, Error> {
        self.receiving = self.receiving.wrapping_add(2);
        Ok(secrets(self.receiving))
    }
    fn is_client(&self) -> bool {
        self.client
    }
}

fn end(sending: u8, receiving: u8, key_records: u64) -> Records {
    let refresh = Box::new(Counted { sending, receiving, client: sending == 0 });
    let mut records = Records::with((0, &secrets(sending)), (0, &secrets(receiving)), refresh).ok().expect("keys that can be used");
    records.key_records = key_records;
    records
}

fn ends(key_records: u64) -> (Records, Records) {
    (end(0, 1, key_records), end(1, 0, key_records))
}

/// Writes records of what is given to it, and collects what comes, in a place of its own where `has_place`.
#[derive(Default)]
struct Side {
    says: std::collections::VecDeque<Vec<u8>>,
    heard: Vec<u8>,
    has_place: bool,
    place: Vec<u8>,
    closes: bool,
}

impl User for Side {
    fn plaintext(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.heard.extend_from_slice(bytes);
        Ok(())
    }
    fn place(&mut self, length: usize) -> Option<&mut [u8]> {
        self.place.resize(length, 0);
        self.has_place.then_some(self.place.as_mut_slice())
    }
    fn placed(&mut self, count: usize) -> Result<(), Failure> {
        self.heard.extend_from_slice(&self.place[..count]);
        Ok(())
    }
    fn write(&mut self, to: &mut dyn Writer) -> Result<(), Failure> {
        while to.room() >= 17_000 {
            match self.says.pop_front() {
                Some(bytes) => to.record(&bytes)?,
                None if std::mem::take(&mut self.closes) => to.close_notify()?,
                None => return Ok(()),
            }
        }
        Ok(())
    }
}

/// What `records` writes for `side`.
fn written(records: &mut Records, side: &mut Side) -> Vec<u8> {
    let mut out = Out::new(1 << 20);
    let (_, pumped) = records.pump(&mut [], &mut out, side);
    assert!(matches!(pumped, Ok(false)));
    out.pending().to_vec()
}

fn one(text: &[u8]) -> Side {
    Side { says: [text.to_vec()].into(), ..Side::default() }
}

/// A record of any kind, as the other end would send it.
fn sealed(records: &mut Records, kind: u8, text: &[u8]) -> Vec<u8> {
    let mut out = Out::new(1 << 16);
    records.seal(kind, text, &mut out).ok().expect("there is room");
    out.pending().to_vec()
}

/// How `records` ends when it gets these bytes, and the alert that it leaves for `peer`.
fn failure(records: &mut Records, peer: &mut Records, mut bytes: Vec<u8>) -> (String, Option<String>) {
    let mut out = Out::new(1 << 16);
    let (_, pumped) = records.pump(&mut bytes, &mut out, &mut Side::default());
    let words = pumped.err().expect("it fails").to_string();
    let mut alert = out.pending().to_vec();
    let told = peer.pump(&mut alert, &mut Out::new(1 << 16), &mut Side::default()).1.err().map(|failure| failure.to_string());
    (words, told)
}

#[test]
fn both_ends_hear_what_the_other_says_however_it_is_cut_and_however_often_keys_change() {
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(1, |now| now.as_nanos() as u64));
    let mut state = seed | 1;
    let mut random = |limit: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % limit as u64) as usize
    };
    for round in 0..40 {
        let (mut client, mut server) = ends(1 + random(5) as u64);
        let mut sides = [Side::default(), Side::default()];
        let mut said = [Vec::new(), Vec::new()];
        let mut wires = [Vec::new(), Vec::new()];
        for _ in 0..60 {
            let who = random(2);
            let text: Vec<u8> = (0..if random(4) == 0 { 16_384 } else { random(200) }).map(|_| random(256) as u8).collect();
            said[who].extend_from_slice(&text);
            sides[who].says.push_back(text);
            sides[who].has_place = random(2) == 0;
            if random(10) == 0 {
                [&mut client, &mut server][who].owes_update = true; // as when the peer asks for it
            }
            let count = random(wires[1 - who].len() + 1);
            let mut incoming: Vec<u8> = wires[1 - who][..count].to_vec();
            let mut out = Out::new(40_000);
            let (taken, pumped) = [&mut client, &mut server][who].pump(&mut incoming, &mut out, &mut sides[who]);
            assert!(matches!(pumped, Ok(false)), "SEED={seed}, round {round}");
            wires[1 - who].drain(..taken);
            wires[who].extend_from_slice(out.pending());
        }
        for who in [0, 1, 0, 1] {
            let mut out = Out::new(4 << 20);
            let mut incoming = std::mem::take(&mut wires[1 - who]);
            let (taken, pumped) = [&mut client, &mut server][who].pump(&mut incoming, &mut out, &mut sides[who]);
            assert!(matches!(pumped, Ok(false)) && taken == incoming.len(), "SEED={seed}, round {round}");
            wires[who].extend_from_slice(out.pending());
        }
        assert!(sides[1].heard == said[0] && sides[0].heard == said[1], "SEED={seed}, round {round}");
    }
}

#[test]
fn a_record_that_was_changed_moved_repeated_or_left_out_ends_the_connection_and_the_peer_is_told() {
    let (mut client, _) = ends(KEY_RECORDS);
    let first = written(&mut client, &mut one(b"first"));
    let second = written(&mut client, &mut one(b"second"));
    for at in 0..first.len() * 8 {
        let mut damaged = first.clone();
        damaged[at / 8] ^= 1 << (at % 8);
        damaged.resize(20_000, 0); // a length that has grown may ask for more
        let (mut peer, mut server) = ends(KEY_RECORDS);
        let (words, told) = failure(&mut server, &mut peer, damaged);
        assert!(told.is_some_and(|alert| alert.contains("alert")), "bit {at}: {words}");
    }
    for stream in [second.clone(), [first.clone(), first.clone()].concat(), [first.clone(), written(&mut end(0, 1, 9), &mut one(b"another"))].concat()] {
        let (mut peer, mut server) = ends(KEY_RECORDS);
        let (words, told) = failure(&mut server, &mut peer, stream);
        assert_eq!((words.as_str(), told.is_some()), ("cannot decrypt peer's message", true));
    }
}

#[test]
fn what_no_peer_may_send_behind_a_handshake_is_refused() {
    let update = [KEY_UPDATE, 0, 0, 1, 0];
    let ticket = [NEW_SESSION_TICKET, 0, 0, 2, 7, 7];
    let refused: [(u8, Vec<u8>); 10] = [
        (HANDSHAKE, [update, update].concat()), (HANDSHAKE, vec![KEY_UPDATE, 0, 0, 1, 2]), (HANDSHAKE, vec![KEY_UPDATE, 0, 0]), (HANDSHAKE, Vec::new()), (HANDSHAKE, vec![1, 0, 0, 0]),
        (HANDSHAKE, ticket.to_vec()), (ALERT, vec![2]), (20, vec![1]), (24, vec![1, 2]), (0, vec![0; 20]),
    ];
    for (kind, text) in refused {
        let (mut client, mut server) = ends(KEY_RECORDS);
        let record = sealed(&mut client, kind, &text);
        let (words, told) = failure(&mut server, &mut client, record);
        assert!(words.contains("a record of") || words.contains("a message of"), "{kind} {text:?}: {words}");
        assert!(told.is_some(), "{kind} {text:?}");
    }
    for clear in [[ALERT, 3, 3, 0, 2, 2, 40], [DATA, 3, 4, 0, 2, 0, 0], [DATA, 3, 3, 0, 2, 0, 0], [DATA, 3, 3, 0x41, 1, 0, 0]] {
        let (mut client, mut server) = ends(KEY_RECORDS);
        assert!(failure(&mut server, &mut client, clear.to_vec()).1.is_some(), "{clear:?}");
    }
}

#[test]
fn padding_tickets_and_alerts_are_understood() {
    for has_place in [false, true] {
        let (mut client, mut server) = ends(KEY_RECORDS);
        let mut side = Side { has_place, ..Side::default() };
        let stream = [
            sealed(&mut server, 0, &[b"padded\x17".as_slice(), &[0; 50]].concat()), sealed(&mut server, DATA, b""), sealed(&mut server, HANDSHAKE, &[4, 0, 0, 2, 7, 7, 4, 0, 0, 0]),
            sealed(&mut server, DATA, &[0; 9]), sealed(&mut server, ALERT, &[1, 90]), sealed(&mut server, ALERT, &[1, 0]), sealed(&mut server, DATA, b"behind the end"),
        ];
        let (mut bytes, behind) = (stream.concat(), stream[6].len());
        let (taken, pumped) = client.pump(&mut bytes, &mut Out::new(1 << 16), &mut side);
        assert!(matches!(pumped, Ok(true)), "closed");
        assert_eq!((taken, side.heard), (bytes.len() - behind, [b"padded".as_slice(), &[0; 9]].concat()));
        let (words, told) = failure(&mut client, &mut server, Vec::new().into_iter().chain(sealed(&mut end(1, 0, 9), DATA, b"old")).collect());
        assert_eq!((words.as_str(), told.is_some()), ("cannot decrypt peer's message", true));
    }
    let (mut client, mut server) = ends(KEY_RECORDS);
    let alert = sealed(&mut server, ALERT, &[2, 48]);
    let mut out = Out::new(1 << 16);
    let failed = client.pump(&mut alert.clone(), &mut out, &mut Side::default()).1.err().expect("a fatal alert");
    assert!(failed.is_distrust() && out.is_empty(), "no alert answers an alert");
}

#[test]
fn a_peer_that_asks_for_a_new_key_gets_it_once_and_before_anything_else() {
    let (mut client, mut server) = ends(KEY_RECORDS);
    let mut asked = Vec::new();
    for _ in 0..3 {
        asked.extend(sealed(&mut client, HANDSHAKE, &[KEY_UPDATE, 0, 0, 1, 1]));
        client.sending = Half::new(0, &client.refresh.next_sending().expect("a key")).ok().expect("a key");
    }
    let mut out = Out::new(1 << 16);
    let (taken, pumped) = server.pump(&mut asked, &mut out, &mut one(b"by the new key"));
    assert!(matches!(pumped, Ok(false)) && taken == asked.len());
    assert_eq!(out.pending().len(), HEADER + 5 + EXTRA + HEADER + 14 + EXTRA);
    let mut side = Side::default();
    let mut answer = out.pending().to_vec();
    assert!(matches!(client.pump(&mut answer, &mut Out::new(1 << 16), &mut side).1, Ok(false)));
    assert_eq!(side.heard, b"by the new key");
    assert_eq!(server.sending.sequence, 1);
}
