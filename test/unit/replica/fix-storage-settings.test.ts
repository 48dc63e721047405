import t from 'tap'
import { relaxLvm } from '../../../src/replica/fix-storage-settings.ts'

t.test('filters of LVM go when they refuse or name devices; what lets all in stays', async t => {
  t.equal(relaxLvm('devices {\n\tfilter = [ "a|.*/|" ]\n\tglobal_filter=["a|/dev/sda2|", "r|.*|"]\n\t# filter = [ "r|.*|" ]\n\tuse_devicesfile = 1\n}\nglobal {\n\tuse_lvmlockd = 1\n\tlocking_type = 3\n\tsystem_id_source = "uname"\n}\n').text,
    'devices {\n\tfilter = [ "a|.*/|" ]\n\t# landfall: global_filter=["a|/dev/sda2|", "r|.*|"]\n\t# filter = [ "r|.*|" ]\n\tuse_devicesfile = 1\n}\nglobal {\n\t# landfall: use_lvmlockd = 1\n\t# landfall: locking_type = 3\n\tsystem_id_source = "uname"\n}\n')
})
