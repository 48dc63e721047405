//! Tells the VMware host what the first boot of a replica reports: standard input becomes guestinfo.landfall.boot, as `vmware-rpctool "info-set
//! guestinfo.landfall.boot …"` would set it. For servers without VMware's tools, which every physical one is. Needs a kernel for x86_64, 2.6 or newer,
//! and nothing else: no library, no loader, no heap.
//!
//! Exit codes: 0 told; 1 the host did not take it, which may pass; 2 this is no virtual machine of VMware; 3 the input cannot be read, or is too long;
//! 4 the host answers as VMware does and takes no messages (QEMU).
#![no_std]
#![no_main]

use core::arch::x86_64::__cpuid;
use core::arch::{asm, global_asm};
use core::panic::PanicInfo;
use landfall_tell::{Host, Refusal, Registers, tell};

const COMMAND: &[u8] = b"info-set guestinfo.landfall.boot ";
/// a message has at most 64 KiB
const MAX_VALUE: usize = 60 << 10;

const SYS_READ: usize = 0;
const SYS_IOPL: usize = 172;
const SYS_EXIT_GROUP: usize = 231;
const INPUT: usize = 0;
const INTERRUPTED: isize = -4;
const ALL_PORTS: usize = 3;

// The kernel starts a program with the stack pointer at its arguments, which are not looked at.
global_asm!(".globl _start", "_start:", "xor ebp, ebp", "and rsp, -16", "call {run}", "ud2", run = sym run);

struct Port;

impl Host for Port {
    fn call(&mut self, registers: Registers) -> Registers {
        let Registers { mut eax, ebx, mut ecx, mut edx, mut esi, mut edi } = registers;
        let mut value = u64::from(ebx);
        // SAFETY: reads a port and changes registers that are all named; rbx, which the compiler keeps for itself, is as before. VMware's host takes the
        // call from user space; elsewhere iopl() has made it a plain read of a port that nothing has.
        unsafe {
            asm!("xchg rbx, {value}", "in eax, dx", "xchg rbx, {value}", value = inout(reg) value, inout("eax") eax, inout("ecx") ecx, inout("edx") edx, inout("esi") esi, inout("edi") edi, options(nostack));
        }
        Registers { eax, ebx: value as u32, ecx, edx, esi, edi }
    }
}

fn system_call(number: usize, arguments: [usize; 3]) -> isize {
    let result: isize;
    // SAFETY: the three calls that are made read into memory that is ours, or take numbers.
    unsafe {
        asm!("syscall", inlateout("rax") number => result, in("rdi") arguments[0], in("rsi") arguments[1], in("rdx") arguments[2], out("rcx") _, out("r11") _, options(nostack));
    }
    result
}

fn exit(code: usize) -> ! {
    loop {
        system_call(SYS_EXIT_GROUP, [code, 0, 0]);
    }
}

/// Standard input to its end, or nothing when it is longer than the place for it or cannot be read.
fn read_all(into: &mut [u8]) -> Option<&[u8]> {
    let mut length = 0;
    loop {
        let rest = &mut into[length..];
        if rest.is_empty() {
            return None;
        }
        match system_call(SYS_READ, [INPUT, rest.as_mut_ptr() as usize, rest.len()]) {
            0 => return Some(&into[..length]),
            INTERRUPTED => {}
            read if read < 0 => return None,
            read => length += read as usize,
        }
    }
}

/// Whether the processor says so.
fn is_vmware() -> bool {
    let leaf = __cpuid(0x4000_0000);
    [leaf.ebx, leaf.ecx, leaf.edx].map(u32::to_le_bytes) == [*b"VMwa", *b"reVM", *b"ware"]
}

extern "C" fn run() -> ! {
    let mut place = [0u8; MAX_VALUE];
    let Some(value) = read_all(&mut place) else { exit(3) };
    // refused under Secure Boot's lockdown, or not in the kernel: VMware needs it not, elsewhere the kernel would end this process
    if system_call(SYS_IOPL, [ALL_PORTS, 0, 0]) < 0 && !is_vmware() {
        exit(2)
    }
    exit(match tell(&mut Port, &[COMMAND, value]) {
        Ok(()) => 0,
        Err(Refusal::NoHost) => 2,
        // on VMware all channels may be in use
        Err(Refusal::NoChannel) if !is_vmware() => 4,
        Err(_) => 1,
    })
}

#[panic_handler]
fn panic(_: &PanicInfo) -> ! {
    exit(1)
}

/// The compiler makes calls of this from loops and large values. @safety as that of C
#[unsafe(no_mangle)]
unsafe extern "C" fn memset(to: *mut u8, byte: i32, length: usize) -> *mut u8 {
    // SAFETY: the caller gives a place of this length; the direction flag is clear between functions.
    unsafe { asm!("rep stosb", inout("rcx") length => _, inout("rdi") to => _, in("al") byte as u8, options(nostack)) };
    to
}

/// As memset. @safety as that of C
#[unsafe(no_mangle)]
unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, length: usize) -> *mut u8 {
    // SAFETY: the caller gives places of this length; the direction flag is clear between functions.
    unsafe { asm!("rep movsb", inout("rcx") length => _, inout("rdi") to => _, inout("rsi") from => _, options(nostack)) };
    to
}
