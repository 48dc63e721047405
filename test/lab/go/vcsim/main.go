// Command vcsim is the lab's vCenter: govmomi's simulator with one small inventory made for Landfall, and datastores in directories of ours
// that survive it. Its own main is a module of its own that the module proxy does not have, and can do neither.
//
//	vcsim -l 127.0.0.1:0 -username administrator -password PW -tlscert FILE -tlskey FILE
//	      -datastore NAME=DIR[,CAPACITY_GIB[,FREE_GIB]] ... -vm NAME [-datacenter NAME] [-host NAME] [-network NAME ...] [-portgroup NAME ...]
//
//	-l           address and port; port 0 picks one (default 127.0.0.1:0)
//	-username    the one account (default administrator); taken literally, with or without a domain
//	-password    its password, or the environment variable VCSIM_PASSWORD; one of them must be given
//	-tlscert -tlskey   PEM files; without them the certificate that Go's tests use (for 127.0.0.1, self-signed)
//	-datastore   may be repeated; DIR is made when missing and never removed (default: none; at least one is needed).
//	             Capacity and free space are numbers that clients see, 1024 GiB each by default; free space shrinks with each disk
//	-vm          the appliance's VM (default landfall-appliance): 2 sockets, 4 GiB, one PVSCSI controller with one 16 GiB disk at 0:0, one
//	             vmxnet3 on VM Network, powered on; its folder on the first datastore is emptied at start
//	-datacenter  (default Lab)   -host  the stand-alone host (default esx1.lab.example)
//	-network     standard port groups beside "VM Network", may be repeated
//	-portgroup   distributed port groups of the switch DSwitch, may be repeated (default "Distributed")
//	-session-timeout   idle seconds after which a session ends (default 1800)
//
// When everything is there it prints one line, "export GOVC_URL=https://administrator@127.0.0.1:PORT/sdk GOVC_SIM_PID=PID". It ends on
// SIGTERM, on SIGINT, and when its standard input ends: keep that open, and it never outlives its parent. VMs other than the appliance's are
// not restored by a restart; files on the datastores are.
//
// What it does not do (the front of the lab must): take capacity and UUID of an attached disk from its file (capacityInKB stays what the
// caller sent), check slots, locks, free space or privileges, serve a console, run anything.
package main

import (
	"context"
	"crypto/tls"
	"flag"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/units"
)

type names []string

func (n *names) String() string     { return strings.Join(*n, ",") }
func (n *names) Set(s string) error { *n = append(*n, s); return nil }

type datastore struct {
	name, dir      string
	capacity, free int64
}

type datastores []datastore

func (d *datastores) String() string { return "" }

func (d *datastores) Set(s string) error {
	name, rest, ok := strings.Cut(s, "=")
	parts := strings.Split(rest, ",")
	if !ok || name == "" || parts[0] == "" || len(parts) > 3 {
		return fmt.Errorf("want NAME=DIR[,CAPACITY_GIB[,FREE_GIB]]")
	}
	gib := make([]int64, 0, 2)
	for _, p := range parts[1:] {
		n, err := strconv.ParseInt(p, 10, 64)
		if err != nil || n < 0 {
			return fmt.Errorf("%q is not a number of GiB", p)
		}
		gib = append(gib, n*int64(units.GB))
	}
	dir, err := filepath.Abs(parts[0])
	if err != nil {
		return err
	}
	one := datastore{name: name, dir: dir, capacity: 1024 * int64(units.GB)}
	if len(gib) > 0 {
		one.capacity = gib[0]
	}
	one.free = one.capacity
	if len(gib) > 1 {
		one.free = gib[1]
	}
	*d = append(*d, one)
	return nil
}

type options struct {
	listen, user, password, cert, key string
	vm, datacenter, host              string
	sessionTimeout                    int
	stores                            datastores
	networks, portgroups              names
}

func parse() (*options, error) {
	o := &options{}
	flag.StringVar(&o.listen, "l", "127.0.0.1:0", "address and port")
	flag.StringVar(&o.user, "username", "administrator", "account")
	flag.StringVar(&o.password, "password", os.Getenv("VCSIM_PASSWORD"), "password")
	flag.StringVar(&o.cert, "tlscert", "", "certificate, PEM")
	flag.StringVar(&o.key, "tlskey", "", "key, PEM")
	flag.StringVar(&o.vm, "vm", "landfall-appliance", "the appliance's VM")
	flag.StringVar(&o.datacenter, "datacenter", "Lab", "datacenter")
	flag.StringVar(&o.host, "host", "esx1.lab.example", "host")
	flag.IntVar(&o.sessionTimeout, "session-timeout", 1800, "idle seconds until a session ends")
	flag.Var(&o.stores, "datastore", "NAME=DIR[,CAPACITY_GIB[,FREE_GIB]]")
	flag.Var(&o.networks, "network", "standard port group")
	flag.Var(&o.portgroups, "portgroup", "distributed port group")
	flag.Parse()
	if flag.NArg() != 0 {
		return nil, fmt.Errorf("unexpected argument %q", flag.Arg(0))
	}
	if o.password == "" {
		return nil, fmt.Errorf("give -password or VCSIM_PASSWORD")
	}
	if len(o.stores) == 0 {
		return nil, fmt.Errorf("give at least one -datastore")
	}
	if (o.cert == "") != (o.key == "") {
		return nil, fmt.Errorf("-tlscert and -tlskey belong together")
	}
	if len(o.portgroups) == 0 {
		o.portgroups = names{"Distributed"}
	}
	return o, nil
}

func run() error {
	o, err := parse()
	if err != nil {
		return err
	}
	model := simulator.VPX()
	model.Datacenter = 0
	if err := model.Create(); err != nil {
		return err
	}
	defer model.Remove()
	if err := createInventory(context.Background(), model, o); err != nil {
		return err
	}
	model.Service.Listen = &url.URL{Host: o.listen, User: url.UserPassword(o.user, o.password)}
	model.Service.TLS = new(tls.Config)
	if o.cert != "" {
		pair, err := tls.LoadX509KeyPair(o.cert, o.key)
		if err != nil {
			return err
		}
		model.Service.TLS.Certificates = []tls.Certificate{pair}
	}
	model.Service.RegisterEndpoints = true
	server := model.Service.NewServer()
	defer server.Close()

	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGINT, syscall.SIGTERM)
	parentGone := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(parentGone)
	}()
	shown := *server.URL
	shown.User = url.User(o.user)
	fmt.Printf("export GOVC_URL=%s GOVC_SIM_PID=%d\n", shown.String(), os.Getpid())
	select {
	case <-end:
	case <-parentGone:
	}
	return nil
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "vcsim:", err)
		os.Exit(1)
	}
}
