#!/usr/bin/perl
# A QEMU under which KVM is half there: the guest that tries KVM passes, and the machine itself does not go on.
#
# STANDIN says what happens under KVM:
#   paused  QEMU says so on standard error and over QMP, as version 7.2 did on a computer with such a KVM; it stays
#   ends    QEMU ends at once
#   silent  the machine runs, as QMP says, and nothing is on its console
# STANDIN_TCG says what happens without:
#   says    a word on the console, and after three seconds the end
#   fails   a word on the console, and the end at once
#   FILE    this program is the QEMU
use strict;
use warnings;
use IO::Socket::UNIX;

$| = 1;
my $line = join ' ', @ARGV;
my ($mode, $tcg) = @ENV{qw(STANDIN STANDIN_TCG)};

if (open my $log, '>>', "$ENV{HOME}/qemus") {
    print $log $line =~ /-accel kvm/ ? "kvm" : "tcg", $line =~ /-m 64( |$)/ ? " probe\n" : "\n";
    close $log;
}

if ($line !~ /-accel kvm/) {
    exec $tcg, @ARGV if $tcg =~ m{/};
    print "the machine is up\n";
    exit 1 if $tcg eq 'fails';
    sleep 3;
    exit 0;
}

# The guest that tries KVM: see crates/hoopy/src/ship/vm/probe
exit 85 if $line =~ /isa-debug-exit/;
exit 0 if $line =~ /-m 64( |$)/;

if ($mode eq 'ends') {
    print STDERR "qemu-system: failed to initialize kvm: Invalid argument\n";
    exit 1;
}

sub dial {
    my ($path) = @_;
    return IO::Socket::UNIX->new(Peer => $path) || die "$path: $!";
}

my $port = $line =~ /-chardev socket,id=hoopy,path=(\S+)/ ? dial($1) : undef;
my $qmp = $line =~ /-qmp unix:(\S+)/ ? dial($1) : die "nobody watches\n";
$qmp->autoflush(1);
print $qmp qq({"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}, "package": ""}, "capabilities": ["oob"]}}\n);
my $state = 'running';
while (my $asked = <$qmp>) {
    if ($asked =~ /qmp_capabilities/) {
        print $qmp qq({"return": {}}\n);
    } elsif ($asked =~ /query-status/) {
        my $running = $state eq 'running' ? 'true' : 'false';
        print $qmp qq({"return": {"status": "$state", "singlestep": false, "running": $running}}\n);
        next if $mode ne 'paused' || $state ne 'running';
        # Into the run: the machine has said something by now
        my ($file) = $line =~ /-serial file:(\S+)/;
        open my $console, '>>', $file || '/dev/stdout' or die "console: $!";
        print $console "firmware begins\n";
        close $console;
        select undef, undef, undef, 0.3;
        print STDERR "KVM internal error. Suberror: 1\nextra data[0]: 0x0000000000000001\nemulation failure\n";
        print STDERR "EAX=00000620 EBX=00000000 ECX=00000000 EDX=00060fb1\nCode=ff ff 9f 83 <9b> db e3\n";
        $state = 'internal-error';
        print $qmp qq({"timestamp": {"seconds": 1, "microseconds": 2}, "event": "STOP"}\n);
    }
}
