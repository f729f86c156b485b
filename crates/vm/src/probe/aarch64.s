// The guest that tells whether KVM carries firmware: 64 KiB at the start of the flash, which is at 0 and where
// execution starts (QEMU's hw/arm/virt.c); memory is at 1 GiB.
//
// It does what AAVMF does before its first line of C and shortly after: floating point, page tables, the MMU with
// caches, reads from flash, calls between pages of code, code copied to memory and run there. At the end it has PSCI
// switch the machine off, and QEMU ends with 0; where something is not as it should be, nothing ends.
//
// probe/mod.rs has what an assembler makes of it; a test there assembles it anew:
//   llvm-mc -triple=aarch64 -filetype=obj -o probe.o aarch64.s && llvm-objcopy -O binary -j .text probe.o probe.bin

        .text
        .globl  _start
_start: mov     x0, #(3 << 20)          // CPACR_EL1.FPEN: no traps on floating point
        msr     cpacr_el1, x0
        isb
        mov     x0, #0x40000000
        add     sp, x0, #0x90000
        bl      tables
        bl      far
        b       off

// One GiB of flash and devices, one of memory: two blocks of a table of level 1 (T0SZ 25: 39 bits of addresses).
        .org    0x1000
tables: mov     x1, #0x40000000
        add     x1, x1, #0x10000
        movz    x2, #0x0705             // block, MAIR entry 1, inner shareable, accessed
        str     x2, [x1]
        movz    x2, #0x0701             // block, MAIR entry 0
        movk    x2, #0x4000, lsl #16
        str     x2, [x1, #8]
        movz    x2, #0x44ff             // entry 0: write-back; entry 1: not cached
        msr     mair_el1, x2
        movz    x2, #0x3519             // T0SZ 25, 4 KiB pages, inner shareable, write-back
        movk    x2, #0x0080, lsl #16    // EPD1
        movk    x2, #0x0002, lsl #32    // 40 bits of physical addresses
        msr     tcr_el1, x2
        msr     ttbr0_el1, x1
        dsb     sy
        tlbi    vmalle1
        dsb     sy
        isb
        mrs     x2, sctlr_el1
        movz    x3, #0x1005             // I, C, M
        orr     x2, x2, x3
        msr     sctlr_el1, x2
        isb
        ret

        .org    0x3000
far:    mov     x19, x30
        bl      sum
        mov     w20, w0
        mov     x1, #0x5000             // the same from memory
        mov     x2, #0x40000000
        add     x2, x2, #0x200000
        mov     x3, x2
        mov     w4, #(after - sum)
1:      ldr     w5, [x1], #4
        str     w5, [x3], #4
        subs    w4, w4, #4
        b.ne    1b
        dc      cvau, x2
        dsb     ish
        ic      iallu
        dsb     ish
        isb
        blr     x2
        cmp     w0, w20
        b.ne    failed
        mov     x1, #0x7000
        ldr     q0, [x1]
        add     v0.4s, v0.4s, v0.4s
        fmov    w0, s0
        movz    w1, #0x0608             // twice 0x01020304
        movk    w1, #0x0204, lsl #16
        cmp     w0, w1
        b.ne    failed
        ret     x19
failed: wfi
        b       failed

// Adds up all of the 64 KiB.
        .org    0x5000
sum:    mov     x1, #0
        mov     w2, #0x4000
        mov     w0, #0
2:      ldr     w3, [x1], #4
        add     w0, w0, w3
        subs    w2, w2, #1
        b.ne    2b
        ret
after:

// PSCI's SYSTEM_OFF.
        .org    0x6000
off:    movz    w0, #0x0008
        movk    w0, #0x8400, lsl #16
        hvc     #0
        b       failed

        .org    0x7000
        .word   0x01020304, 0x05060708, 0x090a0b0c, 0x0d0e0f10
        .org    0x10000
