# The guest that tells whether KVM carries firmware: 64 KiB of flash that ends at 4 GiB, entered at the reset vector.
#
# It does what OVMF does before its first line of C and shortly after (UefiCpuPkg/ResetVector, OvmfPkg/Sec): real
# mode, protected mode, the floating point unit set up by code that lies in flash, page tables, long mode, SSE, reads
# from flash, calls between pages of code, code copied to memory and run there, and a device. At the end it writes to
# isa-debug-exit, which nothing else does.
#
# probe/mod.rs has what an assembler makes of it; a test there assembles it anew:
#   as --64 -o probe.o x86_64.s && ld -Ttext 0xffff0000 --oformat binary -o probe.bin probe.o

        .set    BASE, 0xffff0000        # where the flash is
        .set    TABLES, 0x10000         # page tables, in memory
        .set    COPY, 0x200000          # where code is copied to
        .set    STACK, 0x90000

        .text
        .globl  _start
_start:

# ------------------------------------------------------------------------------------------- first page: real mode
        .code16
real:   cli
        cld
        lgdtl   %cs:(gdtr - _start)
        movl    %cr0, %eax
        orl     $1, %eax                # PE
        movl    %eax, %cr0
        ljmpl   $0x08, $protected

        .balign 8
gdt:    .quad   0
        .quad   0x00cf9b000000ffff      # 0x08: code, 32 bits
        .quad   0x00cf93000000ffff      # 0x10: data
        .quad   0x00af9b000000ffff      # 0x18: code, 64 bits
gdtr:   .word   gdtr - gdt - 1
        .long   gdt
control: .word  0x037f                  # what OVMF loads too: all exceptions masked
vector: .long   0x1f80

# ------------------------------------------------------------------------------------ second page: protected mode
        .org    0x1000
        .code32
protected:
        movw    $0x10, %ax
        movw    %ax, %ds
        movw    %ax, %es
        movw    %ax, %ss
        movl    $STACK, %esp
        movl    %cr0, %eax
        andl    $~0x6000000c, %eax      # CD, NW: caches on; TS, EM: no traps on floating point
        orl     $0x22, %eax             # MP, NE
        movl    %eax, %cr0
        movl    %cr4, %eax
        orl     $0x620, %eax            # PAE, OSFXSR, OSXMMEXCPT
        movl    %eax, %cr4
        finit
        fldcw   control
        ldmxcsr vector
        call    tables
        movl    $TABLES, %eax
        movl    %eax, %cr3
        movl    $0xc0000080, %ecx       # EFER
        rdmsr
        orl     $0x100, %eax            # LME
        wrmsr
        movl    %cr0, %eax
        orl     $0x80000000, %eax       # PG
        movl    %eax, %cr0
        ljmpl   $0x18, $long

# Four GiB as they are, in pages of 2 MiB: one table, one of four, four of 512.
        .org    0x2000
tables: movl    $TABLES, %edi
        xorl    %eax, %eax
        movl    $0x1800, %ecx
        rep stosl
        movl    $(TABLES + 0x1003), TABLES
        movl    $(TABLES + 0x1000), %edi
        movl    $(TABLES + 0x2003), %eax
        movl    $4, %ecx
1:      movl    %eax, (%edi)
        addl    $8, %edi
        addl    $0x1000, %eax
        loop    1b
        movl    $(TABLES + 0x2000), %edi
        movl    $0x83, %eax
        movl    $2048, %ecx
2:      movl    %eax, (%edi)
        addl    $8, %edi
        addl    $0x200000, %eax
        loop    2b
        ret

# ----------------------------------------------------------------------------------------- fourth page: long mode
        .org    0x3000
        .code64
long:   movl    $0x10, %eax
        movl    %eax, %ds
        movl    %eax, %es
        movl    %eax, %ss
        movl    $STACK, %esp
        xorl    %eax, %eax
        cpuid
        movl    $0x80000000, %eax       # the host bridge's name, by the ports of PCI
        movw    $0xcf8, %dx
        outl    %eax, %dx
        movw    $0xcfc, %dx
        inl     %dx, %eax
        cmpl    $0x29c08086, %eax       # q35
        jne     failed
        movl    $sum, %eax
        call    *%rax
        movl    %eax, %ebx
        movl    $sum, %esi              # the same from memory
        movl    $COPY, %edi
        movl    $(after - sum), %ecx
        rep movsb
        movl    $COPY, %eax
        call    *%rax
        cmpl    %eax, %ebx
        jne     failed
        movl    $data, %esi
        movdqu  (%rsi), %xmm0
        movdqu  %xmm0, (STACK)
        paddd   %xmm0, %xmm0
        movd    %xmm0, %eax
        cmpl    $(2 * 0x01020304), %eax
        jne     failed
        movb    $42, %al                # isa-debug-exit makes 85 of it
        outb    %al, $0xf4
failed: hlt
        jmp     failed

# Adds up all of the flash.
        .org    0x5000
sum:    movl    $BASE, %esi
        movl    $0x4000, %ecx
        xorl    %edx, %edx
3:      lodsl
        addl    %eax, %edx
        loop    3b
        movl    %edx, %eax
        ret
after:
        .org    0x7000
data:   .long   0x01020304, 0x05060708, 0x090a0b0c, 0x0d0e0f10

# ------------------------------------------------------------------------------------------------ the reset vector
        .org    0xfff0
        .code16
        jmp     real
        .org    0x10000
