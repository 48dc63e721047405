package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/types"
)

// createInventory makes the datacenter, the host, the datastores, the networks and the appliance's VM through the same calls a client makes.
func createInventory(ctx context.Context, model *simulator.Model, o *options) error {
	client, err := vim25.NewClient(ctx, model.Service)
	if err != nil {
		return err
	}
	settings := object.NewOptionManager(client, *client.ServiceContent.Setting)
	if err := settings.Update(ctx, []types.BaseOptionValue{&types.OptionValue{
		Key: "config.vmacore.soap.sessionTimeout", Value: strconv.Itoa(o.sessionTimeout) + "s",
	}}); err != nil {
		return err
	}
	dc, err := object.NewRootFolder(client).CreateDatacenter(ctx, o.datacenter)
	if err != nil {
		return err
	}
	folders, err := dc.Folders(ctx)
	if err != nil {
		return err
	}
	task, err := folders.HostFolder.AddStandaloneHost(ctx, types.HostConnectSpec{HostName: o.host}, true, nil, nil)
	if err != nil {
		return err
	}
	if err := task.Wait(ctx); err != nil {
		return err
	}
	host, ok := model.Map().Any("HostSystem").(*simulator.HostSystem)
	if !ok {
		return fmt.Errorf("no host after adding one")
	}
	hostSystem := object.NewHostSystem(client, host.Self)
	if err := createDatastores(ctx, model, hostSystem, o.stores); err != nil {
		return err
	}
	if err := createNetworks(ctx, hostSystem, folders.NetworkFolder, o); err != nil {
		return err
	}
	completeNetworks(model, host)
	return createAppliance(ctx, model, hostSystem, folders.VmFolder, o)
}

func createDatastores(ctx context.Context, model *simulator.Model, host *object.HostSystem, stores datastores) error {
	system, err := host.ConfigManager().DatastoreSystem(ctx)
	if err != nil {
		return err
	}
	for _, s := range stores {
		if err := os.MkdirAll(s.dir, 0o755); err != nil {
			return err
		}
		ds, err := system.CreateLocalDatastore(ctx, s.name, s.dir)
		if err != nil {
			return fmt.Errorf("datastore %s: %w", s.name, err)
		}
		made := model.Map().Get(ds.Reference()).(*simulator.Datastore)
		made.Summary.Capacity, made.Summary.FreeSpace = s.capacity, s.free
		made.Info.GetDatastoreInfo().FreeSpace = s.free
		made.Info.GetDatastoreInfo().MaxFileSize = 62 << 40 // VMFS 6
	}
	return nil
}

func createNetworks(ctx context.Context, host *object.HostSystem, folder *object.Folder, o *options) error {
	system, err := host.ConfigManager().NetworkSystem(ctx)
	if err != nil {
		return err
	}
	for _, name := range o.networks {
		if err := system.AddPortGroup(ctx, types.HostPortGroupSpec{Name: name, VswitchName: "vSwitch0"}); err != nil {
			return fmt.Errorf("network %s: %w", name, err)
		}
	}
	spec := types.DVSCreateSpec{ConfigSpec: &types.VMwareDVSConfigSpec{DVSConfigSpec: types.DVSConfigSpec{Name: "DSwitch"}}}
	task, err := folder.CreateDVS(ctx, spec)
	if err != nil {
		return err
	}
	info, err := task.WaitForResult(ctx, nil)
	if err != nil {
		return err
	}
	dvs := object.NewDistributedVirtualSwitch(host.Client(), info.Result.(types.ManagedObjectReference))
	task, err = dvs.Reconfigure(ctx, &types.DVSConfigSpec{Host: []types.DistributedVirtualSwitchHostMemberConfigSpec{{
		Operation: string(types.ConfigSpecOperationAdd), Host: host.Reference(),
	}}})
	if err != nil {
		return err
	}
	if err := task.Wait(ctx); err != nil {
		return err
	}
	for _, name := range o.portgroups {
		task, err := dvs.AddPortgroup(ctx, []types.DVPortgroupConfigSpec{{
			Name: name, Type: string(types.DistributedVirtualPortgroupPortgroupTypeEarlyBinding), NumPorts: 8,
		}})
		if err != nil {
			return err
		}
		if err := task.Wait(ctx); err != nil {
			return fmt.Errorf("port group %s: %w", name, err)
		}
	}
	return nil
}

// completeNetworks sets what a real server says and the simulator does not: the host has every port group of its switches, and the port group
// that a distributed switch makes for its uplinks is marked as such.
func completeNetworks(model *simulator.Model, host *simulator.HostSystem) {
	for _, entity := range model.Map().All("Network") {
		if ref := entity.Reference(); !slices.Contains(host.Network, ref) {
			host.Network = append(host.Network, ref)
		}
	}
	for _, entity := range model.Map().All("DistributedVirtualPortgroup") {
		if group := entity.(*simulator.DistributedVirtualPortgroup); strings.Contains(group.Name, "-DVUplinks-") {
			group.Config.Uplink = types.NewBool(true)
		}
	}
}

func createAppliance(ctx context.Context, model *simulator.Model, host *object.HostSystem, folder *object.Folder, o *options) error {
	store := o.stores[0]
	// A VM is not created over an old one's files.
	if err := os.RemoveAll(filepath.Join(store.dir, o.vm)); err != nil {
		return err
	}
	if err := os.Mkdir(filepath.Join(store.dir, o.vm), 0o755); err != nil {
		return err
	}
	pool, err := host.ResourcePool(ctx)
	if err != nil {
		return err
	}
	path := fmt.Sprintf("[%s] %s/%s", store.name, o.vm, o.vm)
	var devices object.VirtualDeviceList
	scsi, err := devices.CreateSCSIController("pvscsi")
	if err != nil {
		return err
	}
	devices = append(devices, scsi)
	disk := devices.CreateDisk(scsi.(types.BaseVirtualController), types.ManagedObjectReference{}, path+".vmdk")
	disk.CapacityInKB = 16 << 20
	nic, err := devices.CreateEthernetCard("vmxnet3", &types.VirtualEthernetCardNetworkBackingInfo{
		VirtualDeviceDeviceBackingInfo: types.VirtualDeviceDeviceBackingInfo{DeviceName: "VM Network"},
	})
	if err != nil {
		return err
	}
	devices = append(devices, disk, nic)
	change, err := devices.ConfigSpec(types.VirtualDeviceConfigSpecOperationAdd)
	if err != nil {
		return err
	}
	task, err := folder.CreateVM(ctx, types.VirtualMachineConfigSpec{
		Name: o.vm, GuestId: "debian12_64Guest", NumCPUs: 2, MemoryMB: 4096, DeviceChange: change,
		Files:       &types.VirtualMachineFileInfo{VmPathName: path + ".vmx"},
		ExtraConfig: []types.BaseOptionValue{&types.OptionValue{Key: "disk.EnableUUID", Value: "TRUE"}},
	}, pool, host)
	if err != nil {
		return err
	}
	info, err := task.WaitForResult(ctx, nil)
	if err != nil {
		return fmt.Errorf("VM %s: %w", o.vm, err)
	}
	task, err = object.NewVirtualMachine(host.Client(), info.Result.(types.ManagedObjectReference)).PowerOn(ctx)
	if err != nil {
		return err
	}
	return task.Wait(ctx)
}
